//! What differs between guests of this machine's architecture and those of another: how they are built, started and filled.
//! Facts only; from the word in `kernels.toml` to the rest of the runner.

use serde::Deserialize;

/// An architecture by Debian's name.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Architecture {
    /// That of the machines that run the tests.
    #[default]
    Amd64,
    /// Its guests get nothing of this machine: programs are compiled for them, or come from Debian.
    Arm64,
}

/// What compiles for an architecture that is not this machine's.
#[derive(Debug)]
pub(crate) struct Cross {
    /// rustc's name of the target.
    pub(crate) target: &'static str,
    /// The C compiler that links.
    pub(crate) linker: &'static str,
    /// Takes out of a binary what only a debugger needs.
    pub(crate) strip: &'static str,
    /// Where Debian has libraries, below `lib`.
    pub(crate) libraries: &'static str,
}

/// How a guest is started.
#[derive(Debug)]
pub(crate) struct Machine {
    /// QEMU's program.
    pub(crate) qemu: &'static str,
    /// QEMU's `-M`.
    pub(crate) model: &'static str,
    /// The serial line for the kernel's messages, as the guest calls it.
    pub(crate) console: &'static str,
    /// The serial line for the job.
    pub(crate) job_line: &'static str,
    /// Connects the job's line with QEMU's standard output.
    pub(crate) job_device: &'static [&'static str],
    /// Added to every kernel's command line.
    pub(crate) boot: &'static str,
}

impl Architecture {
    /// Debian's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// What compiles for it, if that is not what compiles for this machine.
    pub(crate) fn cross(self) -> Option<&'static Cross> {
        match self {
            Self::Amd64 => None,
            Self::Arm64 => Some(&Cross {
                target: "aarch64-unknown-linux-gnu",
                linker: "aarch64-linux-gnu-gcc",
                strip: "aarch64-linux-gnu-strip",
                libraries: "aarch64-linux-gnu",
            }),
        }
    }

    /// How its guests are started.
    pub(crate) fn machine(self) -> &'static Machine {
        match self {
            Self::Amd64 => &Machine {
                qemu: "qemu-system-x86_64",
                model: "pc,usb=off",
                console: "ttyS0",
                job_line: "ttyS1",
                job_device: &["-serial", "stdio"],
                boot: "tsc=reliable no_timer_check",
            },
            // The machine has one serial line of its own.
            Self::Arm64 => &Machine {
                qemu: "qemu-system-aarch64",
                model: "virt",
                console: "ttyAMA0",
                job_line: "ttyS0",
                job_device: &["-chardev", "stdio,id=job", "-device", "pci-serial,chardev=job"],
                boot: "",
            },
        }
    }
}
