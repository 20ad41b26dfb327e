//! A filter that refuses what the `RuntimeDefault` profile of containerd and
//! Docker refuses to a container without capabilities.

use anyhow::{Result, ensure};
use nix::libc::{self, c_long, sock_filter};

use crate::sys;

/// Refused with EPERM ("Significant syscalls blocked by the default profile"
/// in Docker's documentation, and the newer ones of containerd's).
const REFUSED: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_get_mempolicy,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mbind,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_set_mempolicy,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Offsets in `struct seccomp_data`: the call's number, the low half of its
/// first argument.
const NUMBER: u32 = 0;
const FIRST: u32 = 16;
/// `clone` may not make namespaces.
const NAMESPACES: u32 = 0x7e02_0000;

fn instruction(code: u32, jump_true: u8, jump_false: u8, value: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap(), jt: jump_true, jf: jump_false, k: value }
}

fn refuse(errno: i32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned())
}

fn program() -> Vec<sock_filter> {
    let load = |offset| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
    let unless = |number: c_long, skip| {
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, skip, u32::try_from(number).unwrap())
    };
    let mut program = vec![load(NUMBER)];
    for number in REFUSED {
        program.extend([unless(*number, 1), refuse(libc::EPERM)]);
    }
    // Its flags are in memory, out of a filter's sight.
    program.extend([unless(libc::SYS_clone3, 1), refuse(libc::ENOSYS)]);
    program.extend([unless(libc::SYS_clone, 3), load(FIRST)]);
    program.push(instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, NAMESPACES));
    program.push(refuse(libc::EPERM));
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    program
}

/// Installs it, with `no_new_privs`, and sees that it works.
pub fn install() -> Result<()> {
    nix::sys::prctl::set_no_new_privs()?;
    sys::filter(&program())?;
    ensure!(sys::unshare_is_refused(), "the filter does not work");
    Ok(())
}
