//! All options of one connection, from the connection string, a service, the environment and the
//! defaults, in this order.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::SettingsError;
use super::keyword::{KEYWORDS, VariableScope, shown, shown_origin};
use super::{account, conninfo, service};

/// The value of an option, and its origin unless that is the connection string.
struct GivenOption {
    value: String,
    origin: Option<String>,
}

/// The options by name.
pub(super) struct Options {
    given: BTreeMap<&'static str, GivenOption>,
    pub(super) home: Option<PathBuf>,
}

impl Options {
    /// Collects the options; `scope` selects the variables that count.
    pub(super) fn collect(
        text: &str,
        scope: VariableScope,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let mut options = Self { given: BTreeMap::new(), home: account::home(variable) };
        for (name, value) in conninfo::parse(text)? {
            options.given.insert(canonical(&name), GivenOption { value, origin: None });
        }
        let from_variable = |name| {
            let keyword = KEYWORDS.iter().find(|keyword| keyword.name == name)?;
            let variable_name =
                keyword.variable.filter(|_| scope == VariableScope::Server || keyword.scope == scope)?;
            Some(GivenOption { value: variable(variable_name)?, origin: Some(variable_name.to_owned()) })
        };
        for name in ["service", "servicefile"] {
            if let (false, Some(given)) = (options.given.contains_key(name), from_variable(name)) {
                options.given.insert(name, given);
            }
        }
        options.add_service(variable)?;
        // PGREQUIRESSL is the predecessor of PGSSLMODE. libpq still reads it.
        if variable("PGREQUIRESSL").is_some_and(|value| value.starts_with('1'))
            && !options.given.contains_key("sslmode")
            && from_variable("sslmode").is_none()
        {
            let origin = Some("PGREQUIRESSL".to_owned());
            options.given.insert("sslmode", GivenOption { value: "require".to_owned(), origin });
        }
        for keyword in KEYWORDS {
            if let (false, Some(given)) = (options.given.contains_key(keyword.name), from_variable(keyword.name)) {
                options.given.insert(keyword.name, given);
            }
            if let Some(given) = options.given.get(keyword.name) {
                keyword.check(&given.value, given.origin.as_deref())?;
            }
        }
        Ok(options)
    }

    fn add_service(&mut self, variable: &impl Fn(&str) -> Option<String>) -> Result<(), SettingsError> {
        let Some(name) = self.given.get("service").map(|given| given.value.clone()).filter(|name| !name.is_empty())
        else {
            return Ok(());
        };
        let file = self.given.get("servicefile").map(|given| given.value.clone());
        let system = variable("PGSYSCONFDIR");
        for (key, value) in service::read(&name, file.as_deref(), self.home.as_deref(), system.as_deref())? {
            let origin = Some(format!("service \"{name}\""));
            self.given.entry(canonical(&key)).or_insert(GivenOption { value, origin });
        }
        Ok(())
    }

    /// The value of an option that was given, empty or not.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(|given| given.value.as_str())
    }

    /// The value of an option, unless it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// Parses the value of an option; the error says what the option expects.
    pub(super) fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, SettingsError> {
        let Some(value) = self.given(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.invalid(name, expected.to_owned()))
    }

    /// The error of an option whose value cannot be used.
    pub(super) fn invalid(&self, name: &str, expected: String) -> SettingsError {
        let given = self.given.get(name);
        // If a password in a URI is not encoded, a part of it can be read as a host or a port. So
        // their values are not shown.
        let value = given.map_or("", |given| given.value.as_str());
        let origin = given.and_then(|given| given.origin.as_deref());
        let option = if origin.is_none() && matches!(name, "host" | "port") { name.into() } else { shown(name, value) };
        SettingsError::Invalid { option, origin: shown_origin(origin), expected }
    }
}

/// The static name of a keyword. The parsers accept no other names.
fn canonical(name: &str) -> &'static str {
    let keyword = KEYWORDS.iter().find(|keyword| keyword.name == name);
    debug_assert!(keyword.is_some(), "{name} is no keyword");
    keyword.map_or("", |keyword| keyword.name)
}
