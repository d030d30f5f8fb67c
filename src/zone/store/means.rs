//! By what means a person showed who they are: the words for it that their clients are told.

use crate::zone::id::SignInId;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// The first step of a sign-in. A second factor that this zone asked for has its own column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::zone) struct Means {
    /// The methods (RFC 8176); empty when nobody knows.
    pub(in crate::zone) methods: Vec<String>,
    /// The class of it that the provider stated (OpenID Connect Core §2, `acr`).
    pub(in crate::zone) class: Option<String>,
}

impl Means {
    /// This zone's own password.
    pub(in crate::zone) fn password() -> Self {
        Self { methods: vec!["pwd".to_owned()], class: None }
    }
}

impl Store {
    /// By what means the person of this session showed who they are.
    pub(in crate::zone) async fn means_of(&self, session: &SignInId) -> Result<Means, StoreFailed> {
        let row: Option<(String, Option<String>)> =
            sqlx::query_as("SELECT amr, acr FROM sessions WHERE id = $1 AND zone_id = $2")
                .bind(session.as_str())
                .bind(self.zone.as_str())
                .fetch_optional(&self.pool)
                .await?;
        let read = |(amr, class): (String, Option<String>)| Means {
            methods: serde_json::from_str(&amr).unwrap_or_default(),
            class,
        };
        Ok(row.map(read).unwrap_or_default())
    }
}
