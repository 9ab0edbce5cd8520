//! The program `samebuild`. It calls itself again to become a sandboxed RUN, to look after an engine, to deploy an image, or to measure a build; whether
//! it was called for that is asked before anything else.

fn main() -> std::process::ExitCode {
    samebuild_builder::sandbox::become_child_if_asked();
    samebuild::engines::child::run_if_asked();
    samebuild::races::deploy::run_if_asked();
    samebuild::bench::cost::measure_if_asked();
    samebuild::unprivileged::become_user_if_asked();
    samebuild::cli::main()
}
