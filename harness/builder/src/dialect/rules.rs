//! Decisions about an image as a whole, each where no single step owns it.

use samebuild_dockerfile::{decisions, variants};

use crate::config::Schema;
use crate::delta::LayerForm;
use crate::stamp::SourceDateEpoch;

decisions! {
    /// What does not belong to one instruction alone.
    ImageRules {
        /// Which configuration fields are written.
        schema: Schema,
        /// Which failure is told of where several wait.
        failure_order: FailureOrder,
        /// How a layer is found and written down.
        layer_form: LayerForm,
        /// What the mode field and the owners' names of a layer's tar hold.
        tar_header: TarHeader,
        /// A RUN or WORKDIR that changes nothing.
        empty_step: EmptyStep,
        /// ARG values across `FROM stage`.
        stage_args: StageArgs,
        /// Owner of directories WORKDIR makes.
        workdir_owner: WorkdirOwner,
        /// A WORKDIR with double or trailing slashes.
        workdir_text: WorkdirText,
        /// A WORKDIR that is empty after expansion.
        workdir_empty: WorkdirEmpty,
        /// CMD, ENTRYPOINT and RUN without anything after them.
        empty_command: EmptyCommand,
        /// What the words of one ARG line before FROM see of each other.
        global_arg_line: GlobalArgLine,
        /// A default of an ARG before the first FROM that cannot be expanded.
        global_arg_default: GlobalArgDefault,
        /// What the words of one ARG line in a stage see of each other.
        arg_line: ArgLine,
        /// A target that is FROM and nothing else.
        bare_from: BareFrom,
        /// `--chown` with a user and no group.
        chown_group: ChownGroup,
        /// ARG after an ENV of the same name.
        arg_after_env: ArgAfterEnv,
        /// A number in `--chown`.
        owner_number: OwnerNumber,
        /// `--chown` with a name the image does not know.
        unknown_owner: UnknownOwner,
        /// The working directory of an image from scratch.
        scratch_workdir: ScratchWorkdir,
        /// What a HEALTHCHECK keeps of an earlier one.
        healthcheck_none: HealthcheckNone,
        /// `ArgsEscaped` in the configuration.
        args_escaped: ArgsEscaped,
        /// Which file says what of the context is left out.
        ignore_file: IgnoreFileName,
        /// Directories of a context from which something is left out.
        ignored_parents: IgnoredParents,
        /// How much of the context there is.
        context: Context,
        /// `TARGETARCH` and its like.
        platform_args: PlatformArgs,
        /// `FROM --platform`.
        from_platform: FromPlatform,
        /// A base at hand that is for another platform than the build.
        foreign_base: ForeignBase,
        /// What `COPY --link` does, where there is such a flag.
        link: Link,
        /// What the build argument SOURCE_DATE_EPOCH does of itself.
        source_date_epoch: SourceDateEpoch,
        /// MAINTAINER.
        maintainer: Maintainer,
        /// What EXPOSE takes for a port.
        expose: Expose,
        /// The paths of VOLUME in the configuration.
        volume_text: VolumeText,
    }
}

variants! {
    /// MAINTAINER.
    Maintainer {
        /// It is the image's author.
        Author = "author",
        /// It is passed over, and counts as no step.
        PassedOver = "passed-over",
    }
    /// What EXPOSE takes for a port.
    Expose {
        /// Numbers and ranges, each port on its own; a protocol in any case.
        Ports = "ports",
        /// Any text, `/tcp` behind it if it has no protocol; `tcp` and `udp` are protocols.
        AnyText = "any-text",
    }
    /// The paths of VOLUME in the configuration.
    VolumeText {
        /// As they were written; an empty one is an error.
        AsWritten = "as-written",
        /// Without double slashes, `.` and `..`, but for a slash at the end; an empty one is `.`.
        Cleaned = "cleaned",
    }
    /// A RUN or WORKDIR that changes nothing.
    EmptyStep {
        /// No layer; the history entry says `empty_layer`.
        NoLayer = "no-layer",
        /// A layer with nothing in it.
        EmptyLayer = "empty-layer",
    }
    /// ARG values across `FROM stage`.
    StageArgs {
        /// They are gone.
        Fresh = "fresh",
        /// The new stage sees them.
        Inherited = "inherited",
        /// Every later stage sees them, whatever it starts from.
        Carried = "carried",
    }
    /// Owner of directories WORKDIR makes.
    WorkdirOwner {
        /// They belong to root.
        Root = "root",
        /// They belong to whom USER names.
        CurrentUser = "current-user",
        /// The last belongs to whom USER names and to the group of the same number, those above to root.
        LastToUser = "last-to-user",
    }
    /// An absolute WORKDIR in the configuration and the history.
    WorkdirText {
        /// As it was written.
        AsWritten = "as-written",
        /// Without double and trailing slashes, `.` and `..`.
        Cleaned = "cleaned",
        /// The same, but for a slash at the end, which stays unless there is such a directory.
        CleanedToTheEnd = "cleaned-to-the-end",
    }
    /// A WORKDIR that is empty after expansion.
    WorkdirEmpty {
        /// The build fails.
        Fails = "fails",
        /// It means the directory there is.
        Nothing = "nothing",
    }
    /// CMD, ENTRYPOINT and RUN without anything after them.
    EmptyCommand {
        /// CMD and RUN are the shell's words alone, ENTRYPOINT takes away what was there; `RUN []` starts what the image would.
        ShellAlone = "shell-alone",
        /// The shell gets an empty text; `RUN []` is an error.
        EmptyText = "empty-text",
    }
    /// A default of an ARG before the first FROM that cannot be expanded.
    GlobalArgDefault {
        /// The build fails.
        Fails = "fails",
        /// It is empty.
        IsEmpty = "is-empty",
    }
    /// What the words of one ARG line before FROM see of each other.
    GlobalArgLine {
        /// Nothing.
        Nothing = "nothing",
        /// Those before them.
        Earlier = "earlier",
    }
    /// What the words of one ARG line in a stage see of each other.
    ArgLine {
        /// Nothing.
        Nothing = "nothing",
        /// Those before them.
        Earlier = "earlier",
    }
    /// A target that is FROM and nothing else.
    BareFrom {
        /// It is the image it names, byte for byte; nothing at all from scratch, which fails the build.
        SameImage = "same-image",
        /// An image of its own, with a configuration written anew.
        OwnImage = "own-image",
    }
    /// `--chown=NAME`: the group.
    ChownGroup {
        /// The group that is called as the user is.
        OfTheSameName = "of-the-same-name",
        /// The group the user has in /etc/passwd.
        OfTheUser = "of-the-user",
        /// The group that has the user's number.
        SameNumber = "same-number",
    }
    /// What RUN and later words see of a name that ENV set before ARG.
    ArgAfterEnv {
        /// What ENV set.
        EnvWins = "env-wins",
        /// What came last.
        LastWins = "last-wins",
    }
    /// Which failure is told of where several wait.
    FailureOrder {
        /// The one that is reached first, step by step.
        AsReached = "as-reached",
        /// One of a word, flag or value anywhere that is built before anything is run; then a path that the context does
        /// not have, the last of them (they race, and which is told of differs from build to build); then as reached.
        ConvertedFirst = "converted-first",
    }
    /// A number in `--chown`.
    OwnerNumber {
        /// It is never looked up; chown(2) sees 32 bits of it, and -1 leaves root's.
        AnyNumber = "any-number",
        /// It is never looked up; one that 32 bits do not hold is a name.
        ThirtyTwoBits = "thirty-two-bits",
        /// It is looked up as a name first; one that 32 bits do not hold is a name.
        NameFirst = "name-first",
    }
    /// `--chown` with an unknown name.
    UnknownOwner {
        /// The build fails.
        Fails = "fails",
        /// Root's, without a word; with an unknown group the user's own stays.
        IsRoot = "is-root",
        /// Root's, without a word; but the build fails if there is no file to look it up in.
        IsRootIfListed = "is-root-if-listed",
    }
    /// Working directory of an image from scratch.
    ScratchWorkdir {
        /// There is none.
        Unset = "unset",
        /// It is the root directory.
        Root = "root",
    }
    /// A HEALTHCHECK after another.
    HealthcheckNone {
        /// Interval, timeout and retries that are not given stay as they were, even with NONE.
        KeepsOptions = "keeps-options",
        /// The new one replaces all of the old.
        Replaces = "replaces",
    }
    /// `ArgsEscaped` in the configuration.
    ArgsEscaped {
        /// It is never set.
        Absent = "absent",
        /// It is set with every CMD.
        SetWithCmd = "set-with-cmd",
    }
    /// Where the list of ignored files is.
    IgnoreFileName {
        /// `.dockerignore` at the context's root.
        Root = "root",
        /// `<Dockerfile>.dockerignore` if there is one, else that at the root.
        BesideDockerfile = "beside-dockerfile",
    }
    /// `TARGETARCH` and its like.
    PlatformArgs {
        /// There are none.
        Absent = "absent",
        /// ARG declares them, and they have the values of the platform.
        Predefined = "predefined",
    }
    /// `FROM --platform`.
    FromPlatform {
        /// The base is looked for on that platform.
        Heeded = "heeded",
        /// It is passed over, whatever it says.
        PassedOver = "passed-over",
    }
    /// A base at hand that is for another platform than the build.
    ForeignBase {
        /// It is taken, and what is built on it is for the base's platform.
        Kept = "kept",
        /// It is taken, and what is built on it is said to be for the build's platform.
        Relabelled = "relabelled",
        /// The same, but the variant of the build's platform is passed over, from scratch too.
        RelabelledWithoutVariant = "relabelled-without-variant",
        /// It counts as not being there.
        PassedOver = "passed-over",
    }
    /// `COPY --link`.
    Link {
        /// The same as without: nothing is merged on this store.
        AsWithout = "as-without",
        /// A layer of its own that knows nothing of what lies below: symbolic links there are not followed.
        OwnLayer = "own-layer",
    }
    /// Directories of a context from which something is left out.
    IgnoredParents {
        /// Those that are left out themselves but hold something that is not are made anew.
        MadeNow = "made-now",
        /// All are made before what is in them, so only empty ones keep their time.
        FilledNow = "filled-now",
        /// All are as they are in the context.
        AsInContext = "as-in-context",
    }
    /// How much of the context there is.
    Context {
        /// All that is not ignored.
        Whole = "whole",
        /// What COPY, ADD and mounts of the stages that are built name, with the directories above, and what links on the
        /// way there lead to.
        OnlyNamed = "only-named",
    }
    /// The header of a tar entry.
    TarHeader {
        /// The file's type beside its permissions; root by name.
        TypeAndPermissions = "type-and-permissions",
        /// Permissions alone; no names.
        Permissions = "permissions",
        /// The same, with fractions of seconds.
        PermissionsAndFractions = "permissions-and-fractions",
    }
}
