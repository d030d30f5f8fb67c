//! What a client wants its person to be asked (OpenID Connect Core §3.1.2.1, `prompt`).

use crate::zone::oauth::refusal::Refusal;

/// The wishes of one request; without any, the person is asked what is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::zone) struct Prompt(Vec<Wish>);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Wish {
    /// To be asked nothing at all. Goes with no other.
    Nothing,
    /// To sign in, whoever is signed in.
    SignIn,
    /// To consent, whatever was allowed before.
    Consent,
    /// To say which account it is to be.
    SelectAccount,
}

impl Prompt {
    /// Reads the words of the parameter.
    pub(in crate::zone) fn read(words: Option<&str>) -> Result<Self, Refusal> {
        let mut wishes = Vec::new();
        for word in words.unwrap_or_default().split(' ').filter(|word| !word.is_empty()) {
            let known = WORDS.into_iter().find(|(known, _)| *known == word).map(|(_, wish)| wish);
            let wish = known.ok_or_else(|| Refusal::invalid_request("The prompt is not supported"))?;
            if !wishes.contains(&wish) {
                wishes.push(wish);
            }
        }
        match wishes.contains(&Wish::Nothing) && wishes.len() > 1 {
            true => Err(Refusal::invalid_request("The prompt `none` goes with no other")),
            false => Ok(Self(wishes)),
        }
    }

    /// Whether this is among them.
    pub(in crate::zone) fn has(&self, wish: Wish) -> bool {
        self.0.contains(&wish)
    }

    /// Whether it takes a new sign-in.
    pub(in crate::zone) fn asks_for_sign_in(&self) -> bool {
        self.has(Wish::SignIn) || self.has(Wish::SelectAccount)
    }

    /// What somebody else is told who signs the person in; none when there is nothing to tell.
    pub(in crate::zone) fn for_provider(&self) -> Option<String> {
        self.words(|wish| matches!(wish, Wish::SignIn | Wish::SelectAccount))
    }

    /// What is left of it when the person has signed in; none when nothing is.
    pub(in crate::zone) fn after_sign_in(&self) -> Option<String> {
        self.words(|wish| matches!(wish, Wish::Nothing | Wish::Consent))
    }

    fn words(&self, wanted: impl Fn(Wish) -> bool) -> Option<String> {
        let words = WORDS.into_iter().filter(|(_, wish)| self.has(*wish) && wanted(*wish)).map(|(word, _)| word);
        let words = words.collect::<Vec<_>>().join(" ");
        (!words.is_empty()).then_some(words)
    }
}

/// As clients spell them, and as the metadata name them.
pub(in crate::zone) const WORDS: [(&str, Wish); 4] = [
    ("none", Wish::Nothing),
    ("login", Wish::SignIn),
    ("consent", Wish::Consent),
    ("select_account", Wish::SelectAccount),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_come_together_and_nothing_comes_alone() {
        let read = |words: &str| Prompt::read(Some(words));
        assert_eq!(Prompt::read(None).unwrap(), Prompt::default());
        let both = read("login  consent").unwrap();
        assert_eq!((both.for_provider().as_deref(), both.after_sign_in().as_deref()), (Some("login"), Some("consent")));
        assert!(both.asks_for_sign_in() && both.has(Wish::Consent));
        let account = read("select_account login").unwrap();
        assert_eq!((account.for_provider().as_deref(), account.after_sign_in()), (Some("login select_account"), None));
        assert!(read("none").unwrap().has(Wish::Nothing) && !read("none").unwrap().asks_for_sign_in());
        for wrong in ["none login", "what", "consent none", "Login"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
