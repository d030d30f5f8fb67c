//! Who runs this process.

use crate::model::UserName;

/// The login of the user this process runs as: from `/etc/passwd`, else `told` (`$USER`), else `uid-N`.
pub fn current_user(told: Option<&str>) -> UserName {
    let uid = rustix::process::getuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    pick(uid, &passwd, told)
}

fn pick(uid: u32, passwd: &str, told: Option<&str>) -> UserName {
    let listed = login_of(uid, passwd).and_then(|login| UserName::parse(login).ok());
    let told = || told.and_then(|login| UserName::parse(login).ok());
    listed.or_else(told).unwrap_or_else(|| by_number(uid))
}

/// The first line of `passwd(5)` with this uid.
fn login_of(uid: u32, passwd: &str) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let login = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(login)
    })
}

#[allow(clippy::expect_used, reason = "letters, a hyphen and digits are a legal name")]
fn by_number(uid: u32) -> UserName {
    UserName::parse(&format!("uid-{uid}")).expect("`uid-` and digits are legal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_is_the_one_of_the_uid() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n#junk\nada:x:1000:1000::/home/ada:/bin/sh\ntwin:x:1000:1::/:/\n";
        assert_eq!(pick(1000, passwd, Some("eve")).as_str(), "ada");
        assert_eq!(pick(0, passwd, None).as_str(), "root");
        assert_eq!(pick(7, passwd, Some("grace")).as_str(), "grace");
        assert_eq!(pick(7, passwd, Some("CORP\\grace")).as_str(), "uid-7");
        assert_eq!(pick(7, "", None).as_str(), "uid-7");
    }

    #[test]
    fn this_process_has_a_user() {
        assert!(!current_user(None).as_str().is_empty());
    }
}
