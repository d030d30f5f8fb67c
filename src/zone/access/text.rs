//! A policy as somebody sent it: read, checked against its schema, and brought into its one form.

use crate::cedar::Canonical;
use crate::cedar::Fault;
use crate::cedar::Policy;
use crate::cedar::Set;
use crate::cedar::read_policies;
use crate::limits::ZONE_POLICY_DEPTH_MAX;
use crate::limits::ZONE_POLICY_OPERATORS_MAX;
use crate::limits::ZONE_POLICY_STACK_BYTES;
use crate::zone::access::schemas::SchemaVersion;
use crate::zone::canonical;

/// A good policy.
#[derive(Clone, Debug)]
pub(in crate::zone) struct PolicyText {
    pub(in crate::zone) canonical: Canonical,
    /// SHA-256 of the canonical text, in hex: what the policy is, whatever it is called.
    pub(in crate::zone) sha: String,
}

impl PolicyText {
    /// Reads one policy in Cedar's own syntax.
    ///
    /// # Errors
    /// With what is wrong, and where in the text.
    pub(in crate::zone) fn of_cedar(text: &str, schema: &SchemaVersion) -> Result<Self, String> {
        if is_deep(text) {
            return Err(DEEP.to_owned());
        }
        with_room(|| {
            let told =
                |faults: Vec<Fault>| faults.iter().map(|fault| fault.told_of(text)).collect::<Vec<_>>().join("; ");
            let (policies, has_templates) = read_policies(text).map_err(told)?;
            if has_templates {
                return Err("templates (`?principal`, `?resource`) are not linked to anything here".to_owned());
            }
            let [policy] = policies.as_slice() else {
                return Err(format!("holds {} policies, and a version is one", policies.len()));
            };
            Self::checked(policy, schema, text)
        })
    }

    /// Reads one policy in Cedar's JSON.
    ///
    /// # Errors
    /// With what is wrong.
    pub(in crate::zone) fn of_json(json: serde_json::Value, schema: &SchemaVersion) -> Result<Self, String> {
        with_room(|| {
            let policy = Policy::from_json(json).map_err(|fault| fault.to_string())?;
            Self::checked(&policy, schema, "")
        })
    }

    fn checked(policy: &Policy, schema: &SchemaVersion, text: &str) -> Result<Self, String> {
        let schema = schema.schema().map_err(ToString::to_string)?;
        let mut alone = Set::new();
        alone.add(policy.named("policy")).map_err(|taken| taken.to_string())?;
        let (errors, _) = schema.check(&alone);
        if !errors.is_empty() {
            return Err(errors.iter().map(|fault| fault.told_of(text)).collect::<Vec<_>>().join("; "));
        }
        let canonical = policy.canonical().map_err(|fault| fault.to_string())?;
        if is_deep(&canonical.text) {
            return Err(DEEP.to_owned());
        }
        let sha = canonical::sha256(canonical.text.as_bytes());
        Ok(Self { canonical, sha })
    }
}

/// Reads with a stack for the deepest JSON that a body can hold.
fn with_room<T: Send>(read: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    let failed = || "could not be read".to_owned();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(ZONE_POLICY_STACK_BYTES).spawn_scoped(scope, read);
        thread.map_err(|_| failed())?.join().map_err(|_| failed())?
    })
}

/// Whether reading it could take more of the stack than there is, which ends the whole process: Cedar goes by recursion
/// down a tree that is as deep as brackets and `else` are nested, and as chains of operators and of dots are long.
fn is_deep(text: &str) -> bool {
    let (mut brackets, mut operators, mut dots) = (0_usize, 0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (in_string, letter) {
            (false, '/') if letters.peek() == Some(&'/') => {
                while letters.next_if(|letter| *letter != '\n').is_some() {}
            }
            (true, _) if escaped => escaped = false,
            (true, '\\') => escaped = true,
            (_, '"') => in_string = !in_string,
            (true, _) => {}
            (false, '(' | '[' | '{') => brackets += 1,
            (false, ')' | ']' | '}') => brackets = brackets.saturating_sub(1),
            (false, '.') => dots += 1,
            (false, '&' | '|' | '+' | '-' | '*' | '!') => (operators, dots) = (operators + 1, 0),
            (false, _) => {}
        }
        if brackets > ZONE_POLICY_DEPTH_MAX || dots > ZONE_POLICY_DEPTH_MAX || operators > ZONE_POLICY_OPERATORS_MAX {
            return true;
        }
    }
    text.matches("else").count() > ZONE_POLICY_DEPTH_MAX
}

const DEEP: &str = "is nested too deeply, or has too many operators";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::access::Compiled;
    use crate::zone::access::schemas::DEFAULT_SCHEMA;

    fn read(text: &str) -> Result<PolicyText, String> {
        PolicyText::of_cedar(text, SchemaVersion::find(DEFAULT_SCHEMA).unwrap())
    }

    #[test]
    fn a_policy_is_what_it_says_however_it_is_written() {
        let one = read("permit(principal, action, resource);").unwrap();
        let same = read("// all\npermit (\n principal,action,\n resource ) ;\n").unwrap();
        assert_eq!((&one.sha, &one.canonical), (&same.sha, &same.canonical));
        assert_eq!(one.canonical.text, "permit(\n  principal,\n  action,\n  resource\n);");
        let from_json = PolicyText::of_json(one.canonical.json.clone(), SchemaVersion::find(DEFAULT_SCHEMA).unwrap());
        assert_eq!(from_json.unwrap().sha, one.sha);
        let text = r#"@id("x") forbid(principal is Keycard::Application, action, resource == Keycard::Resource::"r")
            unless { principal.traits.contains("gateway") && [1, 2].contains(1) };"#;
        let (one, again) = (read(text).unwrap(), read(&read(text).unwrap().canonical.text).unwrap());
        assert_eq!(one.sha, again.sha);
        assert_ne!(one.sha, same.sha);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, said) in [
            ("permit(principal, action resource);", "1:26: unexpected token"),
            ("permit(principal, action, resource) when { principal.color == 1 };", "1:44: for policy"),
            ("permit(principal == User::\"x\", action, resource);", "unrecognized entity type `User`"),
            ("permit(principal == ?principal, action, resource);", "templates"),
            ("", "holds 0 policies"),
            ("permit(principal, action, resource); permit(principal, action, resource);", "holds 2 policies"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(said), "{text}: {fault}");
        }
        let schema = SchemaVersion::find(DEFAULT_SCHEMA).unwrap();
        assert!(PolicyText::of_json(serde_json::json!({"effect": "maybe"}), schema).is_err());
    }

    #[test]
    fn no_text_takes_more_stack_than_there_is() {
        let when = |condition: String| read(&format!("permit(principal, action, resource) when {{ {condition} }};"));
        let nested = |open: &str, middle: &str, close: &str, times: usize| {
            when(format!("{}{middle}{}", open.repeat(times), close.repeat(times)))
        };
        for (open, middle, close) in [
            ("(", "true", ")"),
            ("[", "1", "].isEmpty()"),
            ("!", "true", ""),
            ("true&&", "true", ""),
            ("principal==principal&&", "true", ""),
            ("1+", "1", ""),
            ("if true then true else ", "true", ""),
            ("principal", "", ".a"),
        ] {
            // Good or not: it comes back.
            for times in [3, 20, 23, 24, 49, 100, 101, 1000, 60_000] {
                if let Ok(good) = nested(open, middle, close, times) {
                    // Also on the smaller stack of whoever decides.
                    assert!(Compiled::new([("p", good.canonical.text.as_str())]).is_ok());
                }
            }
            assert!(nested(open, middle, close, 60_000).is_err(), "{open}");
        }
        assert!(nested("(", "true", ")", 20).is_ok() && nested("true&&", "true", "", 49).is_ok());
        let many = "principal.identifier==\"a.b@c\"||".repeat(49);
        assert!(when(format!("{many}true")).is_ok());
        assert!(when(format!("// \"\n{}true", "true&&".repeat(101))).unwrap_err().contains("deeply"));
        assert!(when(format!("\"\\\"\" != \"(\" {}", "&&true".repeat(101))).unwrap_err().contains("deeply"));
    }

    #[test]
    fn no_json_takes_more_stack_than_there_is() {
        let schema = SchemaVersion::find(DEFAULT_SCHEMA).unwrap();
        let any = serde_json::json!({"op": "All"});
        // As deep as a JSON body can be.
        for times in [3, 20, 60] {
            let same = serde_json::json!({"==": {"left": {"Var": "principal"}, "right": {"Var": "principal"}}});
            let mut body = same.clone();
            for _ in 0..times {
                body = serde_json::json!({"&&": {"left": body, "right": same}});
            }
            let condition = serde_json::json!([{"kind": "when", "body": body}]);
            let policy = serde_json::json!({"effect": "permit", "principal": any, "action": any, "resource": any,
                "conditions": condition});
            let read = PolicyText::of_json(policy, schema);
            assert!(read.is_ok() || times > 20, "{read:?}");
        }
    }
}
