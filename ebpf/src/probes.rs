//! One file per hook, named like the hook. A probe reads, calls and stores; it decides nothing that `common` could.

mod bpf_sk_storage_map;
mod cgroup_mkdir;
mod cgroup_release;
mod devlink_trap_report;
mod inet_sock_set_state;
mod iter_bpf_map;
mod iter_bpf_prog;
mod iter_task_file;
mod iter_tcp;
mod kfree_skb;
mod qdisc_drop;
mod tcp_cong_state_set;
mod tcp_destroy_sock;
mod tcp_probe;
mod tcp_receive_reset;
mod tcp_retransmit_skb;
mod tcp_retransmit_synack;
mod tcp_send_reset;
mod xdp_bulk_tx;
mod xdp_cpumap_enqueue;
mod xdp_cpumap_kthread;
mod xdp_devmap_xmit;
mod xdp_exception;
mod xdp_redirect_err;
