//! A form that was sent from one of our pages.

use axum::http::HeaderMap;

use crate::zone::issuer::Issuer;
use crate::zone::oauth;
use crate::zone::oauth::Parameters;
use crate::zone::oauth::Prompt;
use crate::zone::oauth::Refusal;
use crate::zone::oauth::Sent;
use crate::zone::pages::browser::Browser;
use crate::zone::people::Asking;

/// The form and its browser; a refusal unless the form is the browser's own.
pub(super) async fn read(issuer: &Issuer, headers: &HeaderMap, sent: Sent) -> Result<(Browser, Parameters), Refusal> {
    let parameters = Parameters::read(sent)?;
    let browser = Browser::read(issuer, headers).await?;
    match browser.is_own_form(issuer, headers, parameters.one("mark")?) {
        true => Ok((browser, parameters)),
        false => Err(Refusal::request("invalid_request", "This form has expired. Please go back and try again")),
    }
}

/// Where a person goes on after signing in: one of our own pages, and nothing that a browser reads in another way.
pub(super) fn going_on(parameters: &Parameters) -> String {
    let named = parameters.first("continue").unwrap_or_default();
    let plain = named.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    let ours = ["/oauth/2/authorize?", "/invitation?", "/device", "/account"].iter().any(|page| {
        match named.strip_prefix(page) {
            Some(rest) => page.ends_with('?') || rest.is_empty() || rest.starts_with(['?', '/']),
            None => false,
        }
    });
    if plain && ours { named.to_owned() } else { super::ACCOUNT.to_owned() }
}

/// How a person is to be asked who they are, as a page before said.
pub(super) fn asking(parameters: &Parameters) -> Result<Asking, Refusal> {
    Ok(Asking {
        name: parameters.one("name")?.unwrap_or_default().trim().to_owned(),
        prompt: Prompt::read(parameters.one("prompt")?)?,
        age_max_s: oauth::read_age_max(parameters)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere_after_signing_in() {
        let at = |to: &str| {
            let query: String =
                url::form_urlencoded::Serializer::new(String::new()).append_pair("continue", to).finish();
            going_on(&Parameters::of_query(&query))
        };
        for good in
            ["/oauth/2/authorize?a=b&c=%2F", "/invitation?token=x", "/device?user_code=X", "/device", "/account"]
        {
            assert_eq!(at(good), good);
        }
        for bad in
            ["//evil.test", "https://evil.test/account", "/\\evil.test", "/accountx", "/account\n", "", "javascript:x"]
        {
            assert_eq!(at(bad), "/account", "{bad}");
        }
    }
}
