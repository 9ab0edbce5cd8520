//! The names of instructions.

macro_rules! keywords {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// An instruction's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each variant is the instruction of its name")]
        pub enum Keyword { $($variant),+ }

        impl Keyword {
            /// All of them, in alphabetical order.
            pub const ALL: &'static [Keyword] = &[$(Keyword::$variant),+];

            /// In upper case.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

keywords! {
    Add = "ADD",
    Arg = "ARG",
    Cmd = "CMD",
    Copy = "COPY",
    Entrypoint = "ENTRYPOINT",
    Env = "ENV",
    Expose = "EXPOSE",
    From = "FROM",
    Healthcheck = "HEALTHCHECK",
    Label = "LABEL",
    Maintainer = "MAINTAINER",
    Onbuild = "ONBUILD",
    Run = "RUN",
    Shell = "SHELL",
    StopSignal = "STOPSIGNAL",
    User = "USER",
    Volume = "VOLUME",
    Workdir = "WORKDIR",
}

impl Keyword {
    /// The instruction of that name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|keyword| keyword.name().eq_ignore_ascii_case(name))
    }

    /// All names, comma separated.
    pub(crate) fn listed() -> String {
        Self::ALL.iter().map(|keyword| keyword.name()).collect::<Vec<_>>().join(", ")
    }
}

impl std::fmt::Display for Keyword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
