//! Names and values of a form or of a query string.

use std::sync::Arc;

/// The pairs of a form, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form(Arc<Vec<(String, String)>>);

impl Form {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        Self(Arc::new(form_urlencoded::parse(bytes).into_owned().collect()))
    }

    /// The first value with this name that is not empty, without blanks around it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let named = self.0.iter().filter(|(key, _)| key == name);
        named.map(|(_, value)| value.trim()).find(|value| !value.is_empty())
    }

    /// The values with this name that are not empty.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A path with a query string.
pub(crate) fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    if pairs.is_empty() {
        return path.to_owned();
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    format!("{path}?{}", query.finish())
}
