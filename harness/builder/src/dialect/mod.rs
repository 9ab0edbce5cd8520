//! Dialects: one builder at one version, as a value for every decision. Where a decision matters is where it is used;
//! here they are only put together. A new version is one file: `..PARENT` plus what changed.

mod buildkit_20_10;
mod buildkit_26_1;
mod buildkit_26_1_containerd;
mod buildkit_head;
mod classic_20_10;
mod classic_26_1;
mod kaniko_1_24;
mod kaniko_pre_289;
pub mod rules;

use samebuild_dockerfile::{Decision, Syntax, UnknownDecision};
use samebuild_image::layer_write::{TarStyle, Times};

pub use buildkit_20_10::BUILDKIT_20_10;
pub use buildkit_26_1::BUILDKIT_26_1;
pub use buildkit_26_1_containerd::BUILDKIT_26_1_CONTAINERD;
pub use buildkit_head::BUILDKIT_HEAD;
pub use classic_20_10::CLASSIC_20_10;
pub use classic_26_1::CLASSIC_26_1;
pub use kaniko_1_24::KANIKO_1_24;
pub use kaniko_pre_289::KANIKO_PRE_289;
pub use rules::ImageRules;

use crate::history::HistoryRules;
use crate::steps::copy::CopyRules;
use crate::steps::run::RunRules;
use crate::unpacked::UnpackedRules;
use rules::TarHeader;

/// A builder at a version.
#[derive(Debug, Clone, PartialEq)]
pub struct Dialect {
    /// `classic@20.10`.
    pub id: &'static str,
    /// What the builder is, in words.
    pub about: &'static str,
    /// What it calls itself in every configuration, if it does.
    pub engine_version: &'static str,
    /// How the Dockerfile is read.
    pub syntax: Syntax,
    pub image: ImageRules,
    pub history: HistoryRules,
    pub copy: CopyRules,
    pub run: RunRules,
    pub unpacked: UnpackedRules,
}

/// Every dialect, parents before children.
pub const DIALECTS: [&Dialect; 8] = [
    &CLASSIC_20_10,
    &CLASSIC_26_1,
    &BUILDKIT_20_10,
    &BUILDKIT_26_1,
    &BUILDKIT_26_1_CONTAINERD,
    &BUILDKIT_HEAD,
    &KANIKO_1_24,
    &KANIKO_PRE_289,
];

/// One decision of a dialect and the variant it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// `syntax`, `image`, `history`, `copy`, `run` or `unpacked`.
    pub room: &'static str,
    pub decision: &'static Decision,
    pub variant: &'static str,
}

impl Choice {
    /// `copy.setuid`, as `--set` takes it.
    pub fn name(&self) -> String {
        format!("{}.{}", self.room, self.decision.name)
    }
}

macro_rules! rooms {
    ($($room:ident: $kind:ty),+ $(,)?) => {
        impl Dialect {
            /// Every decision with its variant, room by room.
            pub fn choices(&self) -> Vec<Choice> {
                let mut out = Vec::new();
                $(for decision in <$kind>::DECISIONS {
                    if let Some(variant) = self.$room.get(decision.name) {
                        out.push(Choice { room: stringify!($room), decision, variant });
                    }
                })+
                out
            }

            /// Chooses `variant` for the decision `name` (`copy.setuid`); an error lists what there is.
            pub fn set(&mut self, name: &str, variant: &str) -> Result<(), UnknownDecision> {
                match name.split_once('.') {
                    $(Some((stringify!($room), decision)) => self.$room.set(decision, variant),)+
                    _ => {
                        let known: Vec<String> = self.choices().iter().map(Choice::name).collect();
                        Err(UnknownDecision::Name { name: name.to_owned(), known: known.join(", ") })
                    }
                }
            }
        }
    };
}

rooms! { syntax: Syntax, image: ImageRules, history: HistoryRules, copy: CopyRules, run: RunRules, unpacked: UnpackedRules }

impl Dialect {
    /// How this builder writes the tar of a layer.
    pub fn tar_style(&self) -> TarStyle {
        match self.image.tar_header {
            TarHeader::TypeAndPermissions => TarStyle::TYPED,
            TarHeader::Permissions => TarStyle::PLAIN,
            TarHeader::PermissionsAndFractions => TarStyle { times: Times::Fractions, ..TarStyle::PLAIN },
        }
    }
}

/// There is no such dialect.
#[derive(Debug, thiserror::Error)]
#[error("find the dialect `{0}`; there are: {list}; `samebuild dialects` says what they are", list = ids())]
pub struct UnknownDialect(pub String);

/// The dialect called `id`.
pub fn find(id: &str) -> Result<&'static Dialect, UnknownDialect> {
    DIALECTS.into_iter().find(|dialect| dialect.id == id).ok_or_else(|| UnknownDialect(id.to_owned()))
}

fn ids() -> String {
    DIALECTS.map(|dialect| dialect.id).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_of_every_dialect_can_be_set_to_every_variant_and_back() {
        for dialect in DIALECTS {
            let mut changed = dialect.clone();
            for choice in dialect.choices() {
                for variant in choice.decision.variants {
                    assert_eq!(changed.set(&choice.name(), variant.name), Ok(()), "{}", choice.name());
                }
                assert_eq!(changed.set(&choice.name(), choice.variant), Ok(()));
            }
            assert_eq!(&changed, dialect);
        }
    }

    #[test]
    fn ids_are_unique_and_found() {
        for dialect in DIALECTS {
            assert_eq!(find(dialect.id).map(|found| found.about).ok(), Some(dialect.about));
        }
        assert!(find("classic@1.0").unwrap_err().to_string().contains("buildkit@head"));
    }

    #[test]
    fn an_unknown_decision_is_answered_with_all_there_are() {
        let error = CLASSIC_20_10.clone().set("copy.setsuid", "kept").unwrap_err().to_string();
        assert!(error.contains("setuid"), "{error}");
        let error = CLASSIC_20_10.clone().set("setuid", "kept").unwrap_err().to_string();
        assert!(error.contains("copy.setuid"), "{error}");
    }
}
