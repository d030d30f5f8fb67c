//! Which rows: the part of a statement after WHERE. Names are the program's own, values are always parameters.

use std::fmt::Write as _;

use crate::zone::store::Argument;

/// Conditions that all must hold.
#[derive(Clone, Debug, Default)]
pub(in crate::zone) struct Conditions {
    sql: String,
    arguments: Vec<Argument>,
}

impl Conditions {
    /// The column has this value.
    pub(in crate::zone) fn equals(mut self, column: &'static str, value: impl Into<Argument>) -> Self {
        let place = self.place(value.into());
        self.and(&format!("{column} = {place}"));
        self
    }

    /// The column has one of these values; nothing is asked for where there are none.
    pub(in crate::zone) fn one_of(mut self, column: &'static str, values: &[String]) -> Self {
        if values.is_empty() {
            return self;
        }
        let places: Vec<String> = values.iter().map(|value| self.place(value.into())).collect();
        self.and(&format!("{column} IN ({})", places.join(", ")));
        self
    }

    /// One of the columns contains each of the words, whatever their case.
    pub(in crate::zone) fn contain(mut self, columns: &[&'static str], words: &[String]) -> Self {
        for word in words {
            let escaped = word.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            let place = self.place(format!("%{escaped}%").into());
            let either: Vec<String> =
                columns.iter().map(|column| format!(r"lower({column}) LIKE {place} ESCAPE '\'")).collect();
            self.and(&format!("({})", either.join(" OR ")));
        }
        self
    }

    /// The column is empty, or is not.
    pub(in crate::zone) fn empty(mut self, column: &'static str, yes: bool) -> Self {
        self.and(&format!("{column} IS {}NULL", if yes { "" } else { "NOT " }));
        self
    }

    /// The column is greater than the value, or it is not.
    pub(in crate::zone) fn greater(mut self, column: &'static str, value: i64, yes: bool) -> Self {
        let place = self.place(value.into());
        self.and(&format!("{column} {} {place}", if yes { ">" } else { "<=" }));
        self
    }

    /// Pairs come after a pair, in the order of the columns, or before it.
    pub(super) fn beyond(&mut self, column: &'static str, key: Argument, id: &str, later: bool) {
        let (key, id) = (self.place(key), self.place(id.into()));
        self.and(&format!("({column}, t.id) {} ({key}, {id})", if later { ">" } else { "<" }));
    }

    /// As text, never empty, and the values of its parameters.
    pub(super) fn into_parts(self) -> (String, Vec<Argument>) {
        (if self.sql.is_empty() { "1 = 1".to_owned() } else { self.sql }, self.arguments)
    }

    fn and(&mut self, condition: &str) {
        let between = if self.sql.is_empty() { "" } else { " AND " };
        let _ = write!(self.sql, "{between}{condition}");
    }

    fn place(&mut self, value: Argument) -> String {
        self.arguments.push(value);
        format!("${}", self.arguments.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parameters_and_never_text() {
        let conditions = Conditions::default()
            .equals("t.zone_id", "z'")
            .one_of("t.slug", &[])
            .one_of("t.id", &["a".to_owned(), "b".to_owned()])
            .contain(&["t.name", "t.identifier"], &["50%_Off".to_owned()]);
        let (sql, arguments) = conditions.into_parts();
        assert_eq!(
            sql,
            r"t.zone_id = $1 AND t.id IN ($2, $3) AND (lower(t.name) LIKE $4 ESCAPE '\' OR lower(t.identifier) LIKE $4 ESCAPE '\')"
        );
        assert_eq!(arguments.last(), Some(&Argument::from(r"%50\%\_off%")));
    }
}
