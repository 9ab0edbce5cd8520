//! Which stages a target needs, and what `--from` means.
//!
//! Expanding FROM, named contexts and pulling images are left to the builder: it hands in what each FROM
//! names once expanded.

use std::collections::BTreeSet;

use crate::ast::{Dockerfile, Instruction, InstructionKind, Stage};
use crate::error::{Class, SyntaxError};
use crate::span::Span;
use crate::syntax::{CopyReach, FromStage, Support, Syntax, UnusedStages, Wording};
use crate::words::Word;

/// What a FROM, a `--from` or a mount's `from` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An empty image.
    Scratch,
    /// The stage of this index.
    Stage(usize),
    /// An image, or whatever else the builder knows by that name.
    Image(String),
}

/// Which stages to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The stage whose image is wanted.
    pub target: usize,
    /// The stages to build, in order: each after those it needs.
    pub order: Vec<usize>,
    /// For each stage of the file, the stages it names.
    pub needs: Vec<BTreeSet<usize>>,
}

impl Dockerfile {
    /// The index of the stage called `name` (any case), or of that number. Of equal names the last counts.
    pub fn stage_index(&self, name: &str) -> Option<usize> {
        let named = self.stages.iter().rfind(|stage| stage.name().is_some_and(|n| n == name.to_lowercase()));
        named
            .map(|stage| stage.index)
            .or_else(|| name.parse().ok().filter(|&index| index < self.stages.len()))
    }

    /// The index of the stage to build: by name, and where `syntax` has it so by number.
    pub fn target_index(&self, name: &str, syntax: &Syntax) -> Option<usize> {
        let may_be_number = syntax.target_index == Support::Present;
        self.stage_index(name).filter(|_| may_be_number || name.parse::<usize>().is_err())
    }

    /// What the FROM of stage `index` names, `base` being its image after expansion. Only stages before it
    /// count, and only by name.
    pub fn base_of(&self, index: usize, base: &str, syntax: &Syntax) -> Origin {
        let wanted = match syntax.from_stage {
            FromStage::AnyCase => base.to_lowercase(),
            FromStage::LowerCase => base.to_owned(),
        };
        let earlier = self.stages.iter().take(index).rfind(|stage| stage.name() == Some(wanted.as_str()));
        match earlier {
            Some(stage) => Origin::Stage(stage.index),
            None if base == "scratch" => Origin::Scratch,
            None => Origin::Image(base.to_owned()),
        }
    }

    /// What `--from=text` in stage `index` names: a stage's name, a number, or an image.
    pub fn copy_origin(
        &self,
        index: usize,
        from: &Word,
        syntax: &Syntax,
    ) -> Result<Origin, Box<SyntaxError>> {
        let text = from.text.as_str();
        let else_image = syntax.copy_reach == CopyReach::EarlierElseImage;
        let earlier_only = else_image || syntax.copy_reach == CopyReach::EarlierStages;
        let fault = |class, message, says| Box::new(self.error(class, from.span, message, Some(says)));
        if let Some(number) = go_integer(text) {
            let limit = if earlier_only { index } else { self.stages.len() };
            return match usize::try_from(number).ok().filter(|&stage| stage < limit) {
                Some(stage) => Ok(Origin::Stage(stage)),
                None if else_image => Ok(Origin::Image(text.to_owned())),
                None => {
                    let message = format!(
                        "copy from stage {number}; stages that can be copied from here are below {limit}"
                    );
                    let says = match earlier_only {
                        true if number == index as i64 => {
                            format!("invalid from flag value {number}: refers to current build stage")
                        }
                        true => format!("invalid from flag value {number}: index out of bounds"),
                        false => format!("invalid stage index {number}"),
                    };
                    Err(fault(Class::BadStageIndex, message, says))
                }
            };
        }
        let lower = text.to_lowercase();
        let known =
            if earlier_only { &self.stages[..index.min(self.stages.len())] } else { &self.stages[..] };
        if let Some(stage) = known.iter().rfind(|stage| stage.name() == Some(lower.as_str())) {
            if syntax.copy_reach == CopyReach::LaterRefused && stage.index > index {
                let message = format!("copy from stage {text:?}: it comes later; move it up");
                let own = self.stages.get(index).and_then(Stage::name).unwrap_or_default();
                let says = format!(
                    "cannot copy from stage {}, it needs to be defined before current stage {}",
                    crate::go_quote(text),
                    crate::go_quote(own)
                );
                return Err(fault(Class::LaterStage, message, says));
            }
            return Ok(Origin::Stage(stage.index));
        }
        if text.contains('$') {
            let message = format!(
                "expand {text:?} in --from; name a stage with FROM {text} AS NAME and copy from NAME"
            );
            let says = match syntax.wording {
                Wording::Dashed => {
                    "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround".to_owned()
                }
                Wording::Lower => format!("failed to parse stage name {}: invalid reference format", crate::go_quote(text)),
                Wording::Capitalised if earlier_only => format!("invalid from flag value {text}: invalid reference format"),
                Wording::Capitalised => format!("failed to parse stage name {}: invalid reference format", crate::go_quote(text)),
            };
            return Err(fault(Class::VariableInFrom, message, says));
        }
        Ok(if text == "scratch" && !earlier_only { Origin::Scratch } else { Origin::Image(text.to_owned()) })
    }

    /// Which stages `target` (a name or a number; the last stage if `None`) needs. `bases` holds, for each
    /// stage, the image its FROM names after expansion.
    pub fn plan(
        &self,
        target: Option<&str>,
        bases: &[String],
        syntax: &Syntax,
    ) -> Result<Plan, Box<SyntaxError>> {
        let target = self.target(target, syntax)?;
        let needs = self.needs(bases, syntax)?;
        let order = match syntax.unused_stages {
            UnusedStages::Built => (0..=target).collect(),
            UnusedStages::Skipped => self.order(target, &needs)?,
        };
        // A later stage is an error only where the stage that names it is built.
        for &index in &order {
            for instruction in &self.stages[index].instructions {
                if let (InstructionKind::Copy(copy), CopyReach::LaterRefused) =
                    (&instruction.kind, syntax.copy_reach)
                {
                    copy.from.as_ref().map(|from| self.copy_origin(index, from, syntax)).transpose()?;
                }
            }
        }
        Ok(Plan { target, order, needs })
    }

    fn target(&self, target: Option<&str>, syntax: &Syntax) -> Result<usize, Box<SyntaxError>> {
        let last = self.stages.len().saturating_sub(1);
        let Some(name) = target else { return Ok(last) };
        self.target_index(name, syntax).ok_or_else(|| {
            let known = self.stages.iter().map(|stage| {
                let name = stage.name().map(|name| format!(" ({name})")).unwrap_or_default();
                format!("{}{name}", stage.index)
            });
            let known = known.collect::<Vec<_>>().join(", ");
            let says = match syntax.unused_stages {
                UnusedStages::Built => format!("failed to reach build target {name} in Dockerfile"),
                UnusedStages::Skipped => format!("target stage {} could not be found", crate::go_quote(name)),
            };
            let message = format!("find the target stage {name:?}; the stages are {known}");
            Box::new(self.error(Class::UnknownTarget, Span::default(), message, Some(says)))
        })
    }

    fn needs(&self, bases: &[String], syntax: &Syntax) -> Result<Vec<BTreeSet<usize>>, Box<SyntaxError>> {
        let mut all = Vec::new();
        for stage in &self.stages {
            let mut needs = BTreeSet::new();
            let base = bases.get(stage.index).unwrap_or(&stage.from().image.text);
            if let Origin::Stage(earlier) = self.base_of(stage.index, base, syntax) {
                needs.insert(earlier);
            }
            for instruction in &stage.instructions {
                needs.extend(self.named_by(stage, instruction, syntax)?);
            }
            all.push(needs);
        }
        Ok(all)
    }

    /// The stages one instruction names. Where only earlier stages can be named, a `--from` that names none is
    /// an error of its own step, not of the plan.
    fn named_by(
        &self,
        stage: &Stage,
        instruction: &Instruction,
        syntax: &Syntax,
    ) -> Result<Vec<usize>, Box<SyntaxError>> {
        let origins = match &instruction.kind {
            InstructionKind::Copy(copy) => match &copy.from {
                Some(from) => match self.copy_origin(stage.index, from, syntax) {
                    Err(_)
                        if matches!(
                            syntax.copy_reach,
                            CopyReach::EarlierStages | CopyReach::EarlierElseImage
                        ) =>
                    {
                        Vec::new()
                    }
                    Err(error) if error.class == Class::LaterStage => {
                        self.stage_index(&from.text).map(Origin::Stage).into_iter().collect()
                    }
                    origin => vec![origin?],
                },
                None => Vec::new(),
            },
            // Mounts name stages by name only.
            InstructionKind::Run(run) => {
                let froms = run.mounts.iter().filter_map(|mount| mount.from.as_deref());
                froms.map(|from| self.base_of(self.stages.len(), from, syntax)).collect()
            }
            _ => Vec::new(),
        };
        Ok(origins
            .into_iter()
            .filter_map(|origin| match origin {
                Origin::Stage(index) => Some(index),
                Origin::Scratch | Origin::Image(_) => None,
            })
            .collect())
    }

    /// What `target` needs, file order kept among what does not depend on each other.
    fn order(&self, target: usize, needs: &[BTreeSet<usize>]) -> Result<Vec<usize>, Box<SyntaxError>> {
        let mut order = Vec::new();
        let mut state = vec![Visit::New; self.stages.len()];
        let mut open = vec![(target, false)];
        while let Some((stage, after)) = open.pop() {
            if after {
                state[stage] = Visit::Done;
                order.push(stage);
                continue;
            }
            match state[stage] {
                Visit::Done => continue,
                Visit::Open => return Err(self.circular(stage)),
                Visit::New => state[stage] = Visit::Open,
            }
            open.push((stage, true));
            for &needed in needs[stage].iter().rev() {
                match state[needed] {
                    Visit::Open => return Err(self.circular(needed)),
                    Visit::New => open.push((needed, false)),
                    Visit::Done => {}
                }
            }
        }
        Ok(order)
    }

    fn circular(&self, index: usize) -> Box<SyntaxError> {
        let stage = &self.stages[index];
        // The COPY that closes the circle: it names this stage or a later one.
        let closes = |node: &&Instruction| match &node.kind {
            InstructionKind::Copy(copy) => copy
                .from
                .as_ref()
                .is_some_and(|from| self.stage_index(&from.text).is_some_and(|named| named >= index)),
            _ => false,
        };
        let span = stage.instructions.iter().find(closes).map_or(stage.header.span, |node| node.span);
        let name = stage.name().map_or_else(|| index.to_string(), str::to_owned);
        let message = format!("build stage {name}, which needs itself; copy from earlier stages only");
        let says = format!("circular dependency detected on stage: {name}");
        Box::new(self.error(Class::CircularStages, span, message, Some(says)))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    New,
    Open,
    Done,
}

/// A whole number as Go's `strconv.Atoi` reads it.
fn go_integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}
