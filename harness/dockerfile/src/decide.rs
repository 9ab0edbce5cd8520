//! Decisions: named points at which builders differ, each with its variants, as tables that can be listed, read and set.
//!
//! [`variants!`] makes the enum of one decision, [`decisions!`](crate::decisions) the struct of several. Which points
//! there are stands where they matter: in [`crate::syntax`] for the language, with the steps in the builder.

/// One value a decision can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Kebab-case name, as `--set DECISION=VARIANT` takes it.
    pub name: &'static str,
    #[doc(hidden)]
    pub raw_doc: &'static str,
}

impl Variant {
    /// What happens under it, in a sentence.
    pub fn doc(&self) -> String {
        prose(self.raw_doc)
    }
}

/// One decision: its name, its variants and what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The field that holds it.
    pub name: &'static str,
    /// What it can be.
    pub variants: &'static [Variant],
    #[doc(hidden)]
    pub raw_doc: &'static str,
}

impl Decision {
    /// The question, in a sentence.
    pub fn doc(&self) -> String {
        prose(self.raw_doc)
    }
}

/// `set` was given a name it does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownDecision {
    /// No such decision.
    #[error("find a decision named {name:?}; there are {known}")]
    Name {
        /// What was asked for.
        name: String,
        /// All names, comma separated.
        known: String,
    },
    /// The decision has no such variant.
    #[error("set {name} to {variant:?}; it takes {known}")]
    Variant {
        /// The decision.
        name: String,
        /// What was asked for.
        variant: String,
        /// All variants, comma separated.
        known: String,
    },
}

impl UnknownDecision {
    /// None of `decisions` is called `name`.
    pub fn name(name: &str, decisions: &[Decision]) -> Self {
        Self::Name { name: name.to_owned(), known: join(decisions.iter().map(|decision| decision.name)) }
    }

    /// None of `variants` is called `variant`.
    pub fn variant(name: &str, variant: &str, variants: &[Variant]) -> Self {
        let known = join(variants.iter().map(|variant| variant.name));
        Self::Variant { name: name.to_owned(), variant: variant.to_owned(), known }
    }
}

/// Doc comments as one line of prose: each line comes with a leading space.
fn prose(raw: &str) -> String {
    raw.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// Enums of decisions: each variant with its kebab-case name and what happens under it.
#[macro_export]
macro_rules! variants {
    ($($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident = $slug:literal),+ $(,)? })+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $name { $($(#[doc = $vdoc])+ $variant),+ }

            impl $name {
                /// Every variant with its name and meaning.
                pub const VARIANTS: &'static [$crate::decide::Variant] =
                    &[$($crate::decide::Variant { name: $slug, raw_doc: concat!($($vdoc),+) }),+];

                /// Its kebab-case name.
                pub fn name(self) -> &'static str {
                    match self { $(Self::$variant => $slug),+ }
                }

                /// The variant of that name.
                pub fn from_name(name: &str) -> Option<Self> {
                    match name { $($slug => Some(Self::$variant),)+ _ => None }
                }
            }
        )+
    };
}

/// A struct with a field for each decision, and the table of them.
#[macro_export]
macro_rules! decisions {
    ($(#[doc = $sdoc:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $field:ident: $kind:ident),+ $(,)? }) => {
        $(#[doc = $sdoc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name { $($(#[doc = $doc])+ pub $field: $kind),+ }

        impl $name {
            /// Every decision, in the order in which a build meets them.
            pub const DECISIONS: &'static [$crate::decide::Decision] = &[$($crate::decide::Decision {
                name: stringify!($field),
                variants: $kind::VARIANTS,
                raw_doc: concat!($($doc),+),
            }),+];

            /// The variant chosen for the decision `name`.
            pub fn get(&self, name: &str) -> Option<&'static str> {
                match name { $(stringify!($field) => Some(self.$field.name()),)+ _ => None }
            }

            /// Chooses `variant` for the decision `name`; an error lists what there is.
            pub fn set(&mut self, name: &str, variant: &str) -> Result<(), $crate::decide::UnknownDecision> {
                match name {
                    $(stringify!($field) => {
                        self.$field = $kind::from_name(variant).ok_or_else(|| {
                            $crate::decide::UnknownDecision::variant(name, variant, $kind::VARIANTS)
                        })?;
                    })+
                    _ => return Err($crate::decide::UnknownDecision::name(name, Self::DECISIONS)),
                }
                Ok(())
            }
        }
    };
}
