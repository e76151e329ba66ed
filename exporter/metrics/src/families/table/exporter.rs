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
        "Whether a kernel program runs (1), else the reason why not",
        "the plan",
        Accessor::Programs,
    )
    .by(&[PROGRAM, HOOK, OFF]),
    metric(
        "findings",
        Counted("{finding}"),
        G,
        "Faults that are found now, of the last minute: whose they are, and which; 0 of those that are looked for and not found",
        "the table of rules, docs/findings.md",
        Accessor::Findings,
    )
    .by(&[WHOSE, FINDING])
    .adding_up(),
    metric(
        "flows_untracked",
        Counted("{connection}"),
        C,
        "Connections for which the kernel gave no storage; they count as opened and closed, their traffic is missing",
        "bpf_sk_storage_get",
        Accessor::Lost(&[(&[], Lost::FlowsUntracked)]),
    )
    .needs(&[STATE], &[]),
    metric(
        "folds_contended",
        Counted("{counter}"),
        C,
        "Counters of closing connections that were given up because another CPU kept folding them",
        "the fold",
        Accessor::Lost(&[(&[], Lost::FoldsContended)]),
    )
    .needs(&[STATE], &[]),
    metric(
        "cgroups_untracked",
        Counted("{cgroup}"),
        C,
        "Cgroups that found no room in a table of the kernel, or could not be told to the exporter at once; what they send counts as \
         unresolved until they are met again",
        "the maps CGROUPS and CGROUP_BIRTHS",
        Accessor::Lost(&[(&[], Lost::CgroupsUntracked)]),
    ),
    metric(
        "workloads_unresolved",
        Counted("{event}"),
        C,
        "Times that a connection, an event or a drop was counted for a cgroup before its workload was known",
        "the map CGROUPS",
        Accessor::Lost(&[(&[], Lost::Unresolved)]),
    ),
    metric(
        "local_losses_forgotten",
        Counted("{range}"),
        C,
        "Ranges of TCP data dropped by this host that were forgotten for newer ones before all of it was retransmitted; much of it \
         nobody would have retransmitted",
        "the map LOSSES",
        Accessor::Lost(&[(&[], Lost::LossesForgotten)]),
    )
    .needs(&[DROPS, RETRANSMIT], &[global::TCP_SKB_CB_SEQ]),
    metric(
        "group_overflow",
        Counted("{event}"),
        C,
        "Connections and events counted in the group other because all slots were taken (limits.memory)",
        "the map GROUP_SLOTS",
        Accessor::Lost(&[(&[], Lost::GroupOverflow)]),
    ),
    metric(
        "drop_overflow",
        Counted("{packet}"),
        C,
        "Dropped packets counted in the row other of their source because all slots were taken (limits.memory)",
        "the maps DROP_SLOTS and NAMED_DROP_SLOTS",
        Accessor::Lost(&[(&[], Lost::DropOverflow)]),
    ),
    metric(
        "workloads",
        Counted("{workload}"),
        G,
        "Workloads that are told apart so far",
        "cgroups and pods",
        Accessor::Exporter(|exporter| Some(number(exporter.workloads?.used))),
    )
    .adding_up(),
    metric(
        "workloads_capacity",
        Counted("{workload}"),
        G,
        "Workloads that may be told apart (limits.workloads)",
        "the configuration",
        Accessor::Exporter(|exporter| Some(number(exporter.workloads?.capacity))),
    )
    .adding_up(),
    metric(
        "workloads_refused",
        Counted("{workload}"),
        C,
        "Workloads counted as other because of limits.workloads; counted up to as many as that",
        "cgroups and pods",
        Accessor::Exporter(|exporter| Some(number(exporter.workloads?.refused))),
    ),
    metric(
        "workloads_source_up",
        Counted("{source}"),
        G,
        "Whether the source of the names of workloads says something (1), else the reason why not; absent while workloads.source is none",
        "the watch of pods, the folder of their logs, the plan",
        Accessor::NameSource,
    )
    .by(&[SOURCE_OF_NAMES, NOT_UP]),
    metric(
        "workloads_source_last_update_timestamp",
        Seconds,
        G,
        "When the source of the names of workloads last said something, in seconds since 1970: a list, an event or a bookmark of the API \
         server, or the folder of the logs of pods, which is read while a pod is not known",
        "the watch of pods, the folder of their logs",
        Accessor::Exporter(|exporter| Some(exporter.name_source.as_ref()?.last_update?.as_secs_f64())),
    ),
    metric(
        "series_overflow",
        Counted("{series}"),
        C,
        "Label sets folded into other because of limits.series",
        "the series cap",
        Accessor::SeriesOverflow,
    )
    .by(&[METRICS_OF]),
    metric(
        "events_lost",
        Counted("{event}"),
        C,
        "Events that no kernel program saw: the first was already running on that CPU, and the second did not take over",
        "bpf_prog_info.recursion_misses less what the second programs took over",
        Accessor::Misses,
    )
    .by(&[PROGRAM]),
    metric("groups", Counted("{group}"), G, "Groups (label sets of connections) in use", "the map GROUP_SLOTS", Accessor::Groups)
    .adding_up(),
    metric(
        "groups_capacity",
        Counted("{group}"),
        G,
        "Groups that fit (limits.memory and the number of CPUs)",
        "the map GROUPS",
        Accessor::GroupCapacity,
    )
    .adding_up(),
    metric("series", Counted("{series}"), G, "Series in this exposition; a histogram counts as one", "the metric table", Accessor::Series)
    .adding_up(),
    metric(
        "collections",
        Counted("{collection}"),
        C,
        "Collections since the start: one for all scrapes within collect.max_age, and two for each reload",
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
        "Whether the last reload of the configuration succeeded (1); the start counts as one",
        "SIGHUP, POST /-/reload",
        Accessor::Exporter(|exporter| Some(if exporter.last_reload.successful { 1.0 } else { 0.0 })),
    ),
    metric(
        "config_last_reload_timestamp",
        Seconds,
        G,
        "When the configuration in force was read, in seconds since 1970",
        "SIGHUP, POST /-/reload",
        Accessor::Exporter(|exporter| Some(exporter.last_reload.succeeded.as_secs_f64())),
    ),
    metric(
        "subnets_files",
        Counted("{file}"),
        G,
        "Files of networks that the configuration in force has read (subnets_files); each reload reads them anew, and \
         config_last_reload_successful says how it went",
        "subnets_files",
        Accessor::Exporter(|exporter| exporter.networks_of_files.map(|read| read.files as f64)),
    )
    .adding_up(),
    metric(
        "subnets_files_prefixes",
        Counted("{prefix}"),
        G,
        "Networks that these files name, each once",
        "subnets_files",
        Accessor::Exporter(|exporter| exporter.networks_of_files.map(|read| read.networks as f64)),
    )
    .adding_up(),
    metric(
        "otlp_exports",
        Counted("{request}"),
        C,
        "Requests to the OTLP receiver by what became of them: success; partial, it refused some data points; refused, it will \
         not take them as they are; failed, no answer or none but to try again, until the next was due",
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
        "Requests to the OTLP receiver that were sent again",
        "the OTLP push",
        Accessor::Pushes(&[(&[], Push::Retries)]),
    ),
    metric(
        "otlp_rejected_data_points",
        Counted("{data_point}"),
        C,
        "Data points that the OTLP receiver refused while it took the rest",
        "the OTLP push: partial_success.rejected_data_points",
        Accessor::Pushes(&[(&[], Push::RejectedPoints)]),
    ),
    metric(
        "otlp_start_resets",
        Counted("{reset}"),
        C,
        "Times that the start of all pushed series was replaced, because the clock had been set back behind it",
        "the OTLP push",
        Accessor::Pushes(&[(&[], Push::StartResets)]),
    ),
    metric(
        "otlp_last_success_timestamp",
        Seconds,
        G,
        "When the OTLP receiver last took a request, in seconds since 1970",
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
        "Connections and requests that the HTTP server refused or ended early, by the bound or guard that did it",
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
    metric("build_info", Counted("{exporter}"), G, "The version of the exporter; the value is always 1", "Cargo.toml", Accessor::BuildInfo)
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
        "Most file descriptors that the exporter may open",
        "/proc/self/limits",
        Accessor::Process(|exporter| exporter.most_descriptors),
    )
    .adding_up(),
    metric(
        PROCESS_START,
        Seconds,
        G,
        "Start of the exporter, in seconds since 1970",
        "/proc/self/stat",
        Accessor::Process(|exporter| exporter.started),
    ),
];
