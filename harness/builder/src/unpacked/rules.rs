//! Decisions about builders that unpack an image into one root and find layers by looking at it. They decide nothing where
//! `image.layer_form` is another than `unpacked-root`.

use samebuild_dockerfile::{decisions, variants};

decisions! {
    /// How layers are found in one root that everything is unpacked into.
    UnpackedRules {
        /// When a walk takes a file for changed.
        mode: SnapshotMode,
        /// After which steps a snapshot is taken.
        moments: Moments,
        /// How what a RUN has changed is found.
        run_changes: RunChanges,
        /// Files that a step says it has written.
        listed: Listed,
        /// The last step of a stage.
        last_step: LastStep,
        /// Stages that others start from or copy from.
        inner_stages: InnerStages,
        /// Whether a stage's base is unpacked.
        base: Base,
        /// When what is there before the first snapshot is looked at.
        first_look: FirstLook,
        /// A COPY that copied nothing, and so has nothing to list.
        empty_copy: EmptyCopy,
        /// Symbolic links among what a snapshot takes.
        link_targets: LinkTargets,
        /// A symbolic link there that leads round in a circle, or through a file.
        link_loop: LinkLoop,
        /// A path that goes a second time.
        whiteouts: Whiteouts,
        /// Names in a layer's tar.
        names: Names,
        /// Directories that WORKDIR and VOLUME name.
        directories: Directories,
        /// A walk that finds nothing changed but directories.
        only_directories: OnlyDirectories,
        /// Where `COPY --from` a stage reads.
        stage_files: StageFiles,
        /// A directory of a stage that is called as the builder's own one is.
        own_name: OwnName,
    }
}

impl UnpackedRules {
    /// kaniko 1.24 without options. Its defects are among them: a COPY of nothing that takes the whole root, a circle of
    /// symbolic links that ends a layer early, a WORKDIR that finds an empty root.
    pub const KANIKO_1_24: Self = Self {
        mode: SnapshotMode::Full,
        moments: Moments::EachStep,
        run_changes: RunChanges::Walk,
        listed: Listed::Always,
        last_step: LastStep::AsAnyOther,
        inner_stages: InnerStages::EachStep,
        base: Base::WhenNeeded,
        first_look: FirstLook::BeforeRun,
        empty_copy: EmptyCopy::WholeRoot,
        link_targets: LinkTargets::Followed,
        link_loop: LinkLoop::EndsTheList,
        whiteouts: Whiteouts::EachTime,
        names: Names::Relative,
        directories: Directories::WhenMade,
        only_directories: OnlyDirectories::Layer,
        stage_files: StageFiles::SavedCopy,
        own_name: OwnName::Fails,
    };
}

variants! {
    /// When a walk takes a file for changed; more in `samebuild_builder::snapshot::walk`.
    SnapshotMode {
        /// Another mode, owner, time, content or link.
        Full = "full",
        /// The same, but for where symbolic links lead.
        FullButLinks = "full-but-links",
        /// Another mode, owner, time or size.
        Redo = "redo",
        /// Another time.
        Time = "time",
    }
    /// After which steps a snapshot is taken.
    Moments {
        /// After each that can change files.
        EachStep = "each-step",
        /// After the last of the stage: one layer.
        LastStep = "last-step",
    }
    /// How what a RUN has changed is found.
    RunChanges {
        /// A walk compares all of the root with what earlier snapshots know.
        Walk = "walk",
        /// Mode, owner, time and size of everything right before the command and right after it. There is no first look,
        /// so that what only the base has can go unnoticed.
        BeforeAndAfter = "before-and-after",
    }
    /// Files that a step says it has written.
    Listed {
        /// They are in its layer, and so are the directories above them.
        Always = "always",
        /// Those that a walk would take for changed are.
        WhenChanged = "when-changed",
    }
    /// The last step of a stage.
    LastStep {
        /// It is as any other.
        AsAnyOther = "as-any-other",
        /// All of the root is walked after it, whatever it is.
        WholeRoot = "whole-root",
    }
    /// Stages that others start from or copy from.
    InnerStages {
        /// They are as the final one.
        EachStep = "each-step",
        /// One snapshot is taken, after the last step.
        LastStep = "last-step",
    }
    /// Whether a stage's base is unpacked.
    Base {
        /// If a RUN, COPY or ADD is to come, or another stage copies from this one. A WORKDIR alone finds an empty root.
        WhenNeeded = "when-needed",
        /// It is.
        Always = "always",
    }
    /// When what is there before the first snapshot is looked at.
    FirstLook {
        /// Right before the first RUN, so that files copied until then count as known.
        BeforeRun = "before-run",
        /// When the stage begins.
        StageStart = "stage-start",
    }
    /// A COPY that copied nothing.
    EmptyCopy {
        /// All of the root is walked. Without a first look all of it is new, and the layer holds it.
        WholeRoot = "whole-root",
        /// It lists nothing and makes no layer.
        NoLayer = "no-layer",
    }
    /// Symbolic links among what a snapshot takes.
    LinkTargets {
        /// What they lead to is taken too; of a path through a link, the link is.
        Followed = "followed",
        /// They are taken as they are.
        Left = "left",
    }
    /// A symbolic link that leads round in a circle, or through a file.
    LinkLoop {
        /// Whatever comes after it is left out of the layer, without a word.
        EndsTheList = "ends-the-list",
        /// It is taken as it is.
        TakenAsIs = "taken-as-is",
    }
    /// A path that goes a second time.
    Whiteouts {
        /// It has a whiteout each time.
        EachTime = "each-time",
        /// It had one.
        Once = "once",
    }
    /// Names in a layer's tar.
    Names {
        /// Relative, but for the root, which is `/`.
        Relative = "relative",
        /// Absolute, directories without a slash at the end.
        Absolute = "absolute",
    }
    /// Directories that WORKDIR and VOLUME name.
    Directories {
        /// WORKDIR lists the one it made; that of a VOLUME goes with what is listed next.
        WhenMade = "when-made",
        /// Both list them, made or found.
        Always = "always",
    }
    /// A walk that finds nothing changed but directories.
    OnlyDirectories {
        /// They are a layer.
        Layer = "layer",
        /// There is no layer.
        NoLayer = "no-layer",
    }
    /// Where `COPY --from` a stage reads.
    StageFiles {
        /// In a copy of what later stages name, made when the stage ends: files in directories lose setuid and setgid,
        /// hard links come apart, everything is from then. Devices, and the root itself, cannot be kept: /proc is in the way.
        SavedCopy = "saved-copy",
        /// In the stage.
        Stage = "stage",
    }
    /// A directory of a stage that is called as the builder's own one is.
    OwnName {
        /// It cannot be kept for a later stage, and the build fails.
        Fails = "fails",
        /// It is a directory as any other.
        Ordinary = "ordinary",
    }
}
