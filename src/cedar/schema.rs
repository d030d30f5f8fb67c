//! What policies may speak of.

use cedar_policy::SchemaFragment;
use cedar_policy::ValidationMode;
use cedar_policy::Validator;

use crate::cedar::Fault;
use crate::cedar::Set;

/// A schema, ready to check sets against.
pub struct Schema(Validator);

impl Schema {
    /// Reads Cedar's schema syntax.
    ///
    /// # Errors
    /// With what Cedar says of it.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let (schema, _) = cedar_policy::Schema::from_cedarschema_str(text).map_err(|error| Fault::of(&error))?;
        Ok(Self(Validator::new(schema)))
    }

    /// The same text in Cedar's JSON syntax.
    ///
    /// # Errors
    /// With what Cedar says of it.
    pub fn text_to_json(text: &str) -> Result<serde_json::Value, Fault> {
        let (fragment, _) = SchemaFragment::from_cedarschema_str(text).map_err(|error| Fault::of(&error))?;
        fragment.to_json_value().map_err(|error| Fault::of(&error))
    }

    /// All that is wrong with the set, and then what only looks wrong.
    pub fn check(&self, set: &Set) -> (Vec<Fault>, Vec<Fault>) {
        let result = self.0.validate(set.policies(), ValidationMode::Strict);
        (result.validation_errors().map(Fault::of).collect(), result.validation_warnings().map(Fault::of).collect())
    }
}
