//! The rest of the configuration that means something: labels, user, directory, ports, volumes, health.

use super::{Cause, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct BuilderLabel;
pub(super) struct Label;
pub(super) struct UserForm;
pub(super) struct WorkdirForm;
pub(super) struct Port;
pub(super) struct Health;
pub(super) struct Setting;

impl Cause for BuilderLabel {
    fn page(&self) -> &'static Page {
        &Page {
            id: "builder-label",
            title: "A builder signed the image with a label",
            severity: Severity::Reproducibility,
            what: "Labels like `io.buildah.version` or `org.opencontainers.image.created` tell who built it, from what and when.",
            how: "buildah adds its version; CI templates add date and revision.",
            fix: "`buildah build --identity-label=false`; leave dates out of labels, or set them from SOURCE_DATE_EPOCH.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        const NAMES: &[&str] = &[
            "io.buildah.",
            "org.opencontainers.image.created",
            "org.opencontainers.image.revision",
            "com.docker.",
            "org.label-schema.build-date",
            "build-date",
            "vcs-ref",
        ];
        let (left, right) = row.sides();
        let of = |text: &str| {
            NAMES.iter().any(|name| text.trim_start_matches("no ").trim_start_matches('"').starts_with(name))
        };
        (row.rule() == "labels" && (of(left) || of(right))).then(String::new)
    }
}

impl Cause for Label {
    fn page(&self) -> &'static Page {
        &Page {
            id: "label-value",
            title: "Labels differ",
            severity: Severity::Reproducibility,
            what: "A label has another value or is on one side only. No program in the image sees it; who selects images by labels does.",
            how: "The Dockerfiles, the base images or `--label` differ.",
            fix: "Give labels values that do not change from build to build.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "labels").then(String::new)
    }
}

impl Cause for UserForm {
    fn page(&self) -> &'static Page {
        &Page {
            id: "user-form",
            title: "The same user may be meant, once by name and once by number",
            severity: Severity::Behaviour,
            what: "One side says a name, the other a number, or `root` and nothing. Kubernetes' runAsNonRoot believes numbers only.",
            how: "One builder looks the name up in /etc/passwd, the other leaves it.",
            fix: "`USER 1000:1000`: a number is the same everywhere.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let (left, right) = row.sides();
        let user = |text: &str| text.trim_matches('"').split(':').next().unwrap_or_default().to_owned();
        let (left, right) = (user(left), user(right));
        let number = |user: &str| user.parse::<u64>().is_ok();
        let root = |user: &str| matches!(user, "root" | "0" | "absent" | "");
        let mixed = number(&left) != number(&right) && left != "absent" && right != "absent";
        (row.rule() == "user" && (mixed || (root(&left) && root(&right)))).then(String::new)
    }
}

impl Cause for WorkdirForm {
    fn page(&self) -> &'static Page {
        &Page {
            id: "workdir-form",
            title: "The same working directory, written in two ways",
            severity: Severity::Cosmetic,
            what: "The paths lead to the same directory: a slash at the end, doubled slashes, `.` or `..` between.",
            how: "One builder cleans the path of WORKDIR, the other takes it as it is.",
            fix: "Write WORKDIR absolute and clean.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let (left, right) = row.sides();
        let clean = |text: &str| samebuild_image::At::clean(text.trim_matches('"'));
        let (left, right) =
            (if left == "absent" { "/" } else { left }, if right == "absent" { "/" } else { right });
        (row.rule() == "workdir" && clean(left) == clean(right)).then(String::new)
    }
}

impl Cause for Port {
    fn page(&self) -> &'static Page {
        &Page {
            id: "exposed-port",
            title: "The images say that they listen on other ports",
            severity: Severity::Behaviour,
            what: "EXPOSE opens nothing, but `docker run -P` and others look at it. `80` means `80/tcp`.",
            how: "The Dockerfiles differ, or builders write the protocol, or a range, in their own way.",
            fix: "Write one port an EXPOSE, with its protocol in lower case: `EXPOSE 80/tcp`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "ports").then(String::new)
    }
}

impl Cause for Health {
    fn page(&self) -> &'static Page {
        &Page {
            id: "healthcheck-lost",
            title: "The health check differs or is lost",
            severity: Severity::Behaviour,
            what: "Who waits for a healthy container waits for something else, or for ever.",
            how: "The OCI format has no field for it, so builders that write that format may drop it (buildah without `--format docker`).",
            fix: "`buildah build --format docker`; or let the platform check (Kubernetes never looks at HEALTHCHECK).",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "healthcheck").then(String::new)
    }
}

impl Cause for Setting {
    fn page(&self) -> &'static Page {
        &Page {
            id: "setting",
            title: "Settings of the configuration differ",
            severity: Severity::Behaviour,
            what: "User, working directory, volumes, shell, stop signal or triggers for later builds are others.",
            how: "The Dockerfiles or the base images differ, or builders expand variables differently.",
            fix: "State it in the last stage, without variables.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        matches!(row.rule(), "user" | "workdir" | "volumes" | "shell" | "stop_signal" | "onbuild")
            .then(|| row.rule().replace('_', " "))
    }
}
