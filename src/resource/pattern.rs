//! Which hosts and paths a resource claims.

use std::fmt;

use crate::model::Host;
use crate::model::Path;

/// A pattern that can't be used; says why.
#[derive(Debug, thiserror::Error)]
pub enum PatternNotLegal {
    /// Not a host name, or `*` elsewhere than as the whole first label.
    #[error("`{0}` is not a host name; `*.` may stand before one")]
    Host(String),
    /// `*.com`: a wildcard over names that strangers own.
    #[error("`{0}` spans a public suffix, under which names belong to strangers")]
    PublicSuffix(String),
    /// Does not begin with `/`, or has a spelling that no request can have.
    #[error(
        "`{0}` is not a path pattern: segments divided by `/`, where `*` stands for one segment and a last `**` for the rest"
    )]
    Path(String),
}

/// A host, or `*.` and a host: then every name below it, at any depth, but not itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host only.
    Exact(Host),
    /// Every name that ends in `.` and this one.
    Below(Host),
}

impl HostPattern {
    /// As written in a configuration; Unicode names become punycode.
    pub fn parse(text: &str) -> Result<Self, PatternNotLegal> {
        let refuse = || PatternNotLegal::Host(text.escape_debug().to_string());
        let Some(parent) = text.strip_prefix("*.") else {
            return Host::parse_unicode(text).map(Self::Exact).map_err(|_| refuse());
        };
        let parent = Host::parse_unicode(parent).map_err(|_| refuse())?;
        if parent.address().is_some() {
            return Err(refuse());
        }
        let known = psl::suffix(parent.as_str().as_bytes()).filter(|suffix| suffix.is_known());
        if known.is_some_and(|suffix| suffix.as_bytes().len() == parent.as_str().len()) {
            return Err(PatternNotLegal::PublicSuffix(text.escape_debug().to_string()));
        }
        Ok(Self::Below(parent))
    }

    /// Whether `host` is meant, label by label.
    pub fn matches(&self, host: &Host) -> bool {
        match self {
            Self::Exact(own) => own == host,
            Self::Below(parent) => {
                let above = host.as_str().strip_suffix(parent.as_str()).and_then(|rest| rest.strip_suffix('.'));
                host.address().is_none() && above.is_some_and(|labels| !labels.is_empty())
            }
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => write!(f, "{host}"),
            Self::Below(parent) => write!(f, "*.{parent}"),
        }
    }
}

/// Segments divided by `/`: a literal, `*` for exactly one segment, a last `**` for any rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPattern {
    text: String,
}

impl PathPattern {
    /// As written in a configuration. Literals are held to the canonical spelling of [`Path`], since no
    /// request that is forwarded has another.
    pub fn parse(text: &str) -> Result<Self, PatternNotLegal> {
        let refuse = || PatternNotLegal::Path(text.escape_debug().to_string());
        let forms = crate::model::PathForms { encoded_slash: true, empty_segment: true, semicolon: true };
        let canonical = Path::parse(text, forms).map_err(|_| refuse())?;
        let mut segments = text.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            let stars = segment.contains('*');
            let legal = !stars || segment == "*" || (segment == "**" && segments.peek().is_none());
            if !legal {
                return Err(refuse());
            }
        }
        Ok(Self { text: canonical.as_str().to_owned() })
    }

    /// Whether `path` is meant.
    pub fn matches(&self, path: &Path) -> bool {
        let mut segments = path.as_str().split('/');
        for wanted in self.text.split('/') {
            match (wanted, segments.next()) {
                ("**", _) => return true,
                ("*", Some(segment)) if !segment.is_empty() => {}
                (literal, Some(segment)) if literal == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }

    /// How many segments it pins down, and whether it is open at the end: the larger, the more specific.
    pub fn specificity(&self) -> (usize, usize) {
        let segments = || self.text.split('/').skip(1);
        (
            segments().filter(|segment| !segment.contains('*')).count(),
            segments().filter(|segment| *segment != "**").count(),
        )
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PathForms;

    #[test]
    fn a_wildcard_is_matched_label_by_label() {
        let pattern = HostPattern::parse("*.example.com").unwrap();
        let matches = |host| pattern.matches(&Host::parse(host).unwrap());
        assert!(matches("api.example.com") && matches("a.b.example.com"));
        assert!(!matches("example.com") && !matches("evil-example.com") && !matches("api.example.com.evil.test"));
    }

    #[test]
    fn a_wildcard_over_strangers_is_refused() {
        for text in ["*.com", "*.co.uk", "*.github.io", "*", "a.*.com", "*.127.0.0.1", "x*.example.com"] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
        assert!(HostPattern::parse("*.valetkey.internal").is_ok());
    }

    #[test]
    fn path_patterns_match_whole_segments() {
        let matches = |pattern, path| {
            PathPattern::parse(pattern).unwrap().matches(&Path::parse(path, PathForms::default()).unwrap())
        };
        assert!(matches("/repos/*/issues", "/repos/a/issues"));
        assert!(!matches("/repos/*/issues", "/repos/a/b/issues"));
        assert!(!matches("/repos/*/issues", "/repos/a/issues/1"));
        assert!(!matches("/repos/*", "/repos/"));
        assert!(matches("/v1/**", "/v1/") && matches("/v1/**", "/v1/a/b") && !matches("/v1/**", "/v10/a"));
        assert!(matches("/**", "/") && matches("/", "/"));
        for bad in ["v1", "/a*", "/**/b", "/a/../b", "/%zz"] {
            assert!(PathPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
