//! The wall between a child and the kernel: the calls of the system that running, compiling and trying
//! out take, and no others. Everything else answers that it is not permitted, also calls that are not
//! invented yet.

use std::collections::BTreeMap;
use std::io;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, apply_filter_all_threads,
};

/// Calls that are allowed whatever they are asked.
const ALLOWED: &[c_long] = &[
    // Files that are open, and opening them: which, is said elsewhere.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_newfstatat,
    libc::SYS_ftruncate,
    libc::SYS_fadvise64,
    libc::SYS_unlinkat,
    // The socket to the parent.
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    // Threads of this process, and time.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_sysinfo,
    // Traps of guests.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // The end.
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Older names of allowed calls, which libraries still use.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[c_long] = &[libc::SYS_open, libc::SYS_unlink];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c_long] = &[];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Puts the wall up for this thread and those that it begins. False where the kernel has none; that is
/// added to `missing`.
pub(super) fn wall(missing: &mut Vec<String>) -> io::Result<bool> {
    if !is_offered() {
        missing.push("seccomp, which keeps the kernel from plugins that break out".into());
        return Ok(false);
    }
    let denied = SeccompAction::Errno(number(libc::EPERM));
    // What it is asked lies in memory, where no filter looks: the C library takes the older call instead.
    let unknown = SeccompAction::Errno(number(libc::ENOSYS));
    let modern = Rules::from([(libc::SYS_clone3, Vec::new())]);
    apply(&program(modern, SeccompAction::Allow, unknown)?, false)?;
    apply(&program(allowed()?, denied, SeccompAction::Allow)?, false)?;
    Ok(true)
}

/// Lets no thread of this process make memory executable any more, nor, unless `threads`, begin another
/// thread, nor change this again. The first wall has to stand.
pub(super) fn seal(threads: bool) -> io::Result<()> {
    let executable = u64::from(libc::PROT_EXEC.cast_unsigned());
    let code = || masked(2, executable, executable).map(|rule| vec![rule]);
    let mut rules = Rules::from([
        (libc::SYS_mmap, code()?),
        (libc::SYS_mprotect, code()?),
        (libc::SYS_seccomp, Vec::new()),
    ]);
    if !threads {
        rules.insert(libc::SYS_clone, Vec::new());
    }
    let denied = SeccompAction::Errno(number(libc::EPERM));
    apply(&program(rules, SeccompAction::Allow, denied)?, true)
}

/// All that is allowed.
fn allowed() -> io::Result<Rules> {
    let mut rules: Rules = ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    // New threads, and no new processes.
    let thread = thread_flags();
    rules.insert(libc::SYS_clone, vec![masked(0, thread, thread)?]);
    // Of two answers that are errors the one of the later filter counts, so that this one has to pass.
    rules.insert(libc::SYS_clone3, Vec::new());
    // An abort of this process, and no signals to others.
    rules.insert(libc::SYS_tgkill, vec![equal(0, u64::from(std::process::id()))?]);
    let option = |option: i32| equal(0, u64::from(option.cast_unsigned()));
    let named = vec![option(libc::PR_SET_NAME)?, option(libc::PR_SET_NO_NEW_PRIVS)?];
    rules.insert(libc::SYS_prctl, named);
    // Asking for a limit, and not setting it.
    rules.insert(libc::SYS_prlimit64, vec![equal_long(2, 0)?]);
    // Fewer rights.
    rules.insert(libc::SYS_seccomp, vec![equal(0, u64::from(libc::SECCOMP_SET_MODE_FILTER))?]);
    Ok(rules)
}

fn thread_flags() -> u64 {
    u64::from((libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND).cast_unsigned())
}

fn is_offered() -> bool {
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the kernel reads one number behind the pointer, which lives until the call is over.
    let answer = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, std::ptr::from_ref(&action))
    };
    answer == 0
}

fn program(rules: Rules, otherwise: SeccompAction, matching: SeccompAction) -> io::Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let filter = SeccompFilter::new(rules, otherwise, matching, arch).map_err(io::Error::other)?;
    BpfProgram::try_from(filter).map_err(io::Error::other)
}

fn apply(program: &BpfProgram, all_threads: bool) -> io::Result<()> {
    let applied = if all_threads { apply_filter_all_threads(program) } else { apply_filter(program) };
    applied.map_err(io::Error::other)
}

fn equal(argument: u8, value: u64) -> io::Result<SeccompRule> {
    rule(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn equal_long(argument: u8, value: u64) -> io::Result<SeccompRule> {
    rule(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
}

fn masked(argument: u8, mask: u64, value: u64) -> io::Result<SeccompRule> {
    rule(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask), value)
}

fn rule(
    argument: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
) -> io::Result<SeccompRule> {
    let condition = SeccompCondition::new(argument, length, operator, value);
    let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
    rule.map_err(io::Error::other)
}

fn number(errno: i32) -> u32 {
    errno.unsigned_abs()
}
