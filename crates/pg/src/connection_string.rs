//! A connection string that is passed on, and hidden from `Debug`.

use std::fmt;
use std::ops::Deref;

/// A connection string. It may contain a password, so `Debug` hides it. Derefs to the text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConnectionString(String);

impl From<String> for ConnectionString {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Deref for ConnectionString {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectionString;

    #[test]
    fn debug_hides_a_connection_string() {
        let string = ConnectionString::from("password=secret".to_owned());
        assert_eq!(format!("{string:?} {:?}", Some(&string)), "**** Some(****)");
        assert_eq!(&*string, "password=secret");
    }
}
