//! Parameters that a plugin declares, so that a job's are checked before anything runs.

/// A parameter of a job that a plugin takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    pub(crate) name: &'static str,
    pub(crate) datatype: &'static str,
    pub(crate) required: bool,
    pub(crate) default: Option<&'static str>,
    pub(crate) help: &'static str,
}

impl Param {
    const fn new(name: &'static str, datatype: &'static str, help: &'static str) -> Self {
        Self { name, datatype, required: false, default: None, help }
    }

    /// A parameter that is any text. `help` is one line for people.
    pub const fn text(name: &'static str, help: &'static str) -> Self {
        Self::new(name, "text", help)
    }

    /// A parameter that is a number from 0.
    pub const fn u64(name: &'static str, help: &'static str) -> Self {
        Self::new(name, "u64", help)
    }

    /// A parameter that is a whole number.
    pub const fn s64(name: &'static str, help: &'static str) -> Self {
        Self::new(name, "s64", help)
    }

    /// A parameter that is a number.
    pub const fn f64(name: &'static str, help: &'static str) -> Self {
        Self::new(name, "f64", help)
    }

    /// A parameter that is `true` or `false`, and `false` where the job does not say.
    pub const fn flag(name: &'static str, help: &'static str) -> Self {
        Self::new(name, "bool", help).default("false")
    }

    /// The job must set it.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Its value where the job does not set it.
    #[must_use]
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    /// The attributes that declare it.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (String, String)> {
        let name = self.name;
        let attribute = move |field: &str, value: &str| (format!("param.{name}.{field}"), value.to_owned());
        [
            Some(attribute("type", self.datatype)),
            self.required.then(|| attribute("required", "true")),
            self.default.map(|value| attribute("default", value)),
            Some(attribute("help", self.help)),
        ]
        .into_iter()
        .flatten()
    }
}
