//! One policy, read from text or from its JSON form (Cedar's EST).

use std::str::FromStr as _;

use cedar_policy::PolicyId;
use cedar_policy::PolicySet;

use crate::cedar::Fault;
use crate::cedar::Kind;

/// A static policy.
#[derive(Clone, Debug)]
pub struct Policy(pub(super) cedar_policy::Policy);

/// A policy in the one form that does not depend on how it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    /// As text, without comments.
    pub text: String,
    /// As JSON.
    pub json: serde_json::Value,
}

/// All policies of a text in their order, and whether there are templates among them, which nothing here links.
///
/// # Errors
/// With each fault that Cedar's parser finds.
pub fn read_policies(text: &str) -> Result<(Vec<Policy>, bool), Vec<Fault>> {
    let parsed = PolicySet::from_str(text).map_err(|errors| errors.iter().map(Fault::of).collect::<Vec<_>>())?;
    let mut policies: Vec<Policy> = parsed.policies().cloned().map(Policy).collect();
    policies.sort_by_key(|policy| policy.id().trim_start_matches("policy").parse::<usize>().ok());
    Ok((policies, parsed.num_of_templates() > 0))
}

impl Policy {
    /// Reads the JSON form of one policy.
    ///
    /// # Errors
    /// With what Cedar says of it.
    pub fn from_json(json: serde_json::Value) -> Result<Self, Fault> {
        cedar_policy::Policy::from_json(None, json).map(Self).map_err(|error| Fault::of(&error))
    }

    /// Its name in its set.
    pub fn id(&self) -> &str {
        AsRef::<str>::as_ref(self.0.id())
    }

    /// The same under another name.
    #[must_use]
    pub fn named(&self, id: &str) -> Self {
        Self(self.0.new_id(PolicyId::new(id)))
    }

    /// The value of `@name("…")`.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.0.annotation(name)
    }

    /// Its JSON form.
    ///
    /// # Errors
    /// With what Cedar says of it.
    pub fn to_json(&self) -> Result<serde_json::Value, Fault> {
        self.0.to_json().map_err(|error| Fault::of(&error))
    }

    /// The same policy as everybody writes it: equal policies have equal canonical texts.
    ///
    /// # Errors
    /// When Cedar can't read what it wrote itself.
    pub fn canonical(&self) -> Result<Canonical, Fault> {
        // Through the text of the tree and back, so that a policy in JSON and the same in text meet in one form.
        let text = Self::from_json(self.to_json()?)?.to_text()?;
        let again = cedar_policy::Policy::parse(None, &text).map_err(|error| Fault::words(&error.to_string()))?;
        let json = Self(again).to_json()?;
        Ok(Canonical { text: Self::from_json(json.clone())?.to_text()?, json })
    }

    /// The ids of the entities of this kind that it names.
    pub fn named_entities(&self, kind: &Kind) -> Vec<String> {
        let named = self.0.entity_literals().into_iter().filter(|uid| *uid.type_name() == kind.0);
        named.map(|uid| uid.id().unescaped().to_owned()).collect()
    }

    fn to_text(&self) -> Result<String, Fault> {
        self.0.to_cedar().ok_or_else(|| Fault::words("a linked policy has no text"))
    }
}
