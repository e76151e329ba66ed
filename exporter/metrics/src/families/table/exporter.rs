//! What the exporter says of itself, its programs, its server and its pushes.

use super::row::{PROCESS_START, metric};
use crate::{
    families::metric::{
        Accessor,
        Kind::{Counter as C, Gauge as G},
        Metric,
        Unit::{Bytes, Counted, Seconds},
    },
    number::number,
    snapshot::{Push, Refusal},
};
use common::{
    kernel::{
        fields::global,
        programs::{DROPS, RETRANSMIT, STATE},
    },
    map::lost::Lost,
};
use tcpvitals_config::label::Label;

const PROGRAM: Label = Label::new("program", "tcpvitals.program.name");
const HOOK: Label = Label::new("hook", "tcpvitals.program.hook");
const WHOSE: Label = Label::new("whose", "tcpvitals.finding.whose");
const FINDING: Label = Label::new("finding", "tcpvitals.finding.name");
const OFF: Label = Label::new("reason", "tcpvitals.program.reason");
const SOURCE_OF_NAMES: Label = Label::new("source", "tcpvitals.workloads.source");
const NOT_UP: Label = Label::new("reason", "tcpvitals.workloads.reason");
const METRICS_OF: Label = Label::new("metrics", "tcpvitals.series.metrics");
const RESULT: Label = Label::new("result", "tcpvitals.otlp.result");
const CODE: Label = Label::new("code", "http.response.status_code");
const REFUSAL: Label = Label::new("reason", "tcpvitals.http.reason");
const VERSION: Label = Label::new("version", "tcpvitals.version");

pub(super) const METRICS: &[Metric] = &[
    metric(
        "program_attached",
        Counted("{program}"),
        G,
        "1 if the kernel program is attached; otherwise 0, and the label reason says why",
        "the plan",
        Accessor::Programs,
    )
    .by(&[PROGRAM, HOOK, OFF]),
    metric(
        "findings",
        Counted("{finding}"),
        G,
        "Faults found in the last minute, by owner (whose) and kind; 0 for kinds that were looked for and not found",
        "the table of rules, docs/findings.md",
        Accessor::Findings,
    )
    .by(&[WHOSE, FINDING])
    .adding_up(),
    metric(
        "flows_untracked",
        Counted("{connection}"),
        C,
        "Connections for which the kernel provided no socket storage: they count as opened and closed, but their \
         traffic is not counted",
        "bpf_sk_storage_get",
        Accessor::Lost(&[(&[], Lost::FlowsUntracked)]),
    )
    .needs(&[STATE], &[]),
    metric(
        "folds_contended",
        Counted("{counter}"),
        C,
        "Counters of closing connections whose last increase is lost because another CPU kept updating the same \
         connection",
        "the fold",
        Accessor::Lost(&[(&[], Lost::FoldsContended)]),
    )
    .needs(&[STATE], &[]),
    metric(
        "cgroups_untracked",
        Counted("{cgroup}"),
        C,
        "Cgroups for which a kernel map had no room, or that could not be reported to the exporter at once; their \
         traffic counts as unresolved until the next socket event; absent while workloads are not told apart",
        "the maps CGROUPS and CGROUP_BIRTHS",
        Accessor::Lost(&[(&[], Lost::CgroupsUntracked)]),
    ),
    metric(
        "workloads_unresolved",
        Counted("{event}"),
        C,
        "Connections, events and drops that were counted before the workload of their cgroup was known; absent while workloads are \
         not told apart",
        "the map CGROUPS",
        Accessor::Lost(&[(&[], Lost::Unresolved)]),
    ),
    metric(
        "local_losses_forgotten",
        Counted("{range}"),
        C,
        "Ranges of TCP data dropped by this host that newer ones displaced from the map before all of their data was \
         retransmitted; much of that data would never have been retransmitted",
        "the map LOSSES",
        Accessor::Lost(&[(&[], Lost::LossesForgotten)]),
    )
    .needs(&[DROPS, RETRANSMIT], &[global::TCP_SKB_CB_SEQ]),
    metric(
        "group_overflow",
        Counted("{event}"),
        C,
        "Connections and events counted in the label set other because all slots were in use (limits.memory)",
        "the map GROUP_SLOTS",
        Accessor::Lost(&[(&[], Lost::GroupOverflow)]),
    ),
    metric(
        "drop_overflow",
        Counted("{packet}"),
        C,
        "Dropped packets counted in the label set other of their source because all slots were in use \
         (limits.memory)",
        "the maps DROP_SLOTS and NAMED_DROP_SLOTS",
        Accessor::Lost(&[(&[], Lost::DropOverflow)]),
    ),
    metric(
        "workloads",
        Counted("{workload}"),
        G,
        "Workloads that have a label of their own",
        "cgroups and pods",
        Accessor::Exporter(|exporter| Some(number(exporter.workloads?.used))),
    )
    .adding_up(),
    metric(
        "workloads_capacity",
        Counted("{workload}"),
        G,
        "Maximum number of workloads with a label of their own (limits.workloads)",
        "the configuration",
        Accessor::Exporter(|exporter| Some(number(exporter.workloads?.capacity))),
    )
    .adding_up(),
    metric(
        "workloads_refused",
        Counted("{workload}"),
        C,
        "Workloads counted as other because of limits.workloads; this counter stops at limits.workloads",
        "cgroups and pods",
        Accessor::Exporter(|exporter| Some(number(exporter.workloads?.refused))),
    ),
    metric(
        "workloads_source_up",
        Counted("{source}"),
        G,
        "1 if the source of the workload names answers; otherwise 0, and the label reason says why. Absent while \
         workloads.source is none",
        "the watch of pods, the folder of their logs, the plan",
        Accessor::NameSource,
    )
    .by(&[SOURCE_OF_NAMES, NOT_UP]),
    metric(
        "workloads_source_last_update_timestamp",
        Seconds,
        G,
        "Last update from the source of the workload names, in seconds since 1970: a list, an event or a bookmark of \
         the API server, or a read of the folder of pod logs, which happens while a pod is unknown",
        "the watch of pods, the folder of their logs",
        Accessor::Exporter(|exporter| Some(exporter.name_source.as_ref()?.last_update?.as_secs_f64())),
    ),
    metric(
        "series_overflow",
        Counted("{series}"),
        C,
        "Label sets counted as other because of limits.series",
        "the series cap",
        Accessor::SeriesOverflow,
    )
    .by(&[METRICS_OF]),
    metric(
        "events_lost",
        Counted("{event}"),
        C,
        "Events that no kernel program saw: the program was already running on that CPU, and its second copy did not \
         take over",
        "bpf_prog_info.recursion_misses less what the second programs took over",
        Accessor::Misses,
    )
    .by(&[PROGRAM]),
    metric(
        "groups",
        Counted("{group}"),
        G,
        "Label sets of TCP connections in use",
        "the map GROUP_SLOTS",
        Accessor::Groups,
    )
    .adding_up(),
    metric(
        "groups_capacity",
        Counted("{group}"),
        G,
        "Maximum number of label sets of TCP connections (from limits.memory and the number of CPUs)",
        "the map GROUPS",
        Accessor::GroupCapacity,
    )
    .adding_up(),
    metric(
        "series",
        Counted("{series}"),
        G,
        "Series in this exposition; a histogram counts as one series",
        "the metric table",
        Accessor::Series,
    )
    .adding_up(),
    metric(
        "collections",
        Counted("{collection}"),
        C,
        "Collections since the start: one for all scrapes within collect.max_age, two for each reload",
        "the collector",
        Accessor::Exporter(|exporter| Some(exporter.collections as f64)),
    ),
    metric(
        "collect_duration",
        Seconds,
        G,
        "Duration of the last collection",
        "the collector",
        Accessor::Exporter(|exporter| Some(exporter.collect_duration.as_secs_f64())),
    ),
    metric(
        "config_last_reload_successful",
        Counted("{reload}"),
        G,
        "1 if the last reload of the configuration succeeded, otherwise 0; the start counts as a reload",
        "SIGHUP, POST /-/reload",
        Accessor::Exporter(|exporter| Some(if exporter.last_reload.successful { 1.0 } else { 0.0 })),
    ),
    metric(
        "config_last_reload_timestamp",
        Seconds,
        G,
        "Time at which the current configuration was read, in seconds since 1970",
        "SIGHUP, POST /-/reload",
        Accessor::Exporter(|exporter| Some(exporter.last_reload.succeeded.as_secs_f64())),
    ),
    metric(
        "subnets_files",
        Counted("{file}"),
        G,
        "Files of networks in the current configuration (subnets_files); each reload reads them again, and \
         config_last_reload_successful shows the result",
        "subnets_files",
        Accessor::Exporter(|exporter| exporter.networks_of_files.map(|read| read.files as f64)),
    )
    .adding_up(),
    metric(
        "subnets_files_prefixes",
        Counted("{prefix}"),
        G,
        "Different networks in the files of subnets_files",
        "subnets_files",
        Accessor::Exporter(|exporter| exporter.networks_of_files.map(|read| read.networks as f64)),
    )
    .adding_up(),
    metric(
        "otlp_exports",
        Counted("{request}"),
        C,
        "Requests to the OTLP receiver, by result: success; partial (the receiver rejected some data points); \
         refused (the receiver rejected the request for good); failed (no answer, or only answers to try again, \
         until the next request was due)",
        "the OTLP push",
        Accessor::Pushes(&[
            (&["success"], Push::Success),
            (&["partial"], Push::Partial),
            (&["refused"], Push::Refused),
            (&["failed"], Push::Failed),
        ]),
    )
    .by(&[RESULT]),
    metric(
        "otlp_retries",
        Counted("{request}"),
        C,
        "Retried requests to the OTLP receiver",
        "the OTLP push",
        Accessor::Pushes(&[(&[], Push::Retries)]),
    ),
    metric(
        "otlp_rejected_data_points",
        Counted("{data_point}"),
        C,
        "Data points that the OTLP receiver rejected while it accepted the others",
        "the OTLP push: partial_success.rejected_data_points",
        Accessor::Pushes(&[(&[], Push::RejectedPoints)]),
    ),
    metric(
        "otlp_start_resets",
        Counted("{reset}"),
        C,
        "Times that all pushed series got a new start time because the clock was set back to before the old one",
        "the OTLP push",
        Accessor::Pushes(&[(&[], Push::StartResets)]),
    ),
    metric(
        "otlp_last_success_timestamp",
        Seconds,
        G,
        "Last request that the OTLP receiver accepted, in seconds since 1970",
        "the OTLP push",
        Accessor::Exporter(|exporter| exporter.pushes.as_ref()?.last_taken),
    ),
    metric(
        "http_connections",
        Counted("{connection}"),
        G,
        "Open connections of the HTTP server",
        "the HTTP server",
        Accessor::Exporter(|exporter| Some(number(exporter.served.as_ref()?.connections))),
    )
    .adding_up(),
    metric(
        "http_requests",
        Counted("{request}"),
        C,
        "Requests that the HTTP server answered, by status code",
        "the HTTP server",
        Accessor::Answers,
    )
    .by(&[CODE]),
    metric(
        "http_refused",
        Counted("{refusal}"),
        C,
        "Connections and requests that the HTTP server refused or ended early, by the limit or check that refused \
         them",
        "the HTTP server",
        Accessor::Refused(&[
            (&["connections_per_peer"], Refusal::ConnectionsPerPeer),
            (&["connections"], Refusal::Connections),
            (&["handshake"], Refusal::Handshake),
            (&["answer_time"], Refusal::AnswerTime),
            (&["answer_memory"], Refusal::AnswerMemory),
            (&["host"], Refusal::Host),
            (&["cross_site"], Refusal::CrossSite),
            (&["password"], Refusal::Password),
            (&["logins"], Refusal::Logins),
            (&["rate_limit"], Refusal::RateLimit),
        ]),
    )
    .by(&[REFUSAL]),
    metric(
        "build_info",
        Counted("{exporter}"),
        G,
        "Version of the exporter; the value is always 1",
        "Cargo.toml",
        Accessor::BuildInfo,
    )
    .by(&[VERSION]),
    metric(
        "process_cpu",
        Seconds,
        C,
        "User and system time of the exporter",
        "/proc/self/stat",
        Accessor::ProcessTime,
    )
    .dotted("process.cpu.time"),
    metric(
        "process_resident_memory",
        Bytes,
        G,
        "Resident memory of the exporter",
        "/proc/self/stat",
        Accessor::Process(|exporter| exporter.resident_bytes),
    )
    .adding_up()
    .dotted("process.memory.usage"),
    metric(
        "process_virtual_memory",
        Bytes,
        G,
        "Virtual memory of the exporter",
        "/proc/self/stat",
        Accessor::Process(|exporter| exporter.virtual_bytes),
    )
    .adding_up()
    .dotted("process.memory.virtual"),
    metric(
        "process_open_fds",
        Counted("{file_descriptor}"),
        G,
        "Open file descriptors of the exporter",
        "/proc/self/fd",
        Accessor::Process(|exporter| exporter.open_descriptors),
    )
    .adding_up()
    .dotted("process.unix.file_descriptor.count"),
    metric(
        "process_max_fds",
        Counted("{file_descriptor}"),
        G,
        "Maximum number of file descriptors of the exporter",
        "/proc/self/limits",
        Accessor::Process(|exporter| exporter.most_descriptors),
    )
    .adding_up(),
    metric(
        PROCESS_START,
        Seconds,
        G,
        "Start time of the exporter, in seconds since 1970",
        "/proc/self/stat",
        Accessor::Process(|exporter| exporter.started),
    ),
];
