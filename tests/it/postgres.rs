//! A throw-away PostgreSQL cluster from Debian's packages, one for all tests: started by the first that
//! needs it, ended with this process.

use crate::required;
use mpscript::base::Secret;
use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// Debian's `nobody`: initdb refuses to run as root.
const NOBODY: u32 = 65_534;

/// The superuser's password; it must be seen nowhere.
pub(crate) const PASSWORD: &str = "PG-pa55word-otter-91c0";

/// A cluster that does not answer by then never will.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Cluster {
    port: u16,
}

/// The cluster, or a word on standard error that there is none.
pub(crate) fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| programs().map(|programs| Cluster::start(&programs)));
    if cluster.is_none() {
        required::missing("postgres");
    }
    cluster.as_ref()
}

/// The folder of `initdb` and `postgres`: Debian keeps them out of the path.
pub(crate) fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    versions.sort();
    versions
        .into_iter()
        .rev()
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// A command as an unprivileged user, if we are root; it ends with the thread that starts it.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=INT");
    if is_root() {
        command.args(["--reuid", &NOBODY.to_string(), "--regid", &NOBODY.to_string(), "--clear-groups"]);
    }
    command.arg(program).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0)
}

/// A cluster's folder, before the number of its process.
const NAME: &str = "mpscript-postgres-";

/// A process can't clear up after its own end: the next one does it.
fn remove_left_overs() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let process = name.strip_prefix(NAME).map(|process| Path::new("/proc").join(process));
        if process.is_some_and(|process| !process.exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Cluster {
    fn start(programs: &Path) -> Self {
        remove_left_overs();
        let folder = std::env::temp_dir().join(format!("{NAME}{}", std::process::id()));
        fs::create_dir_all(&folder).expect("there is room for a cluster");
        let password = folder.join("password");
        fs::write(&password, PASSWORD).expect("a file can be written");
        if is_root() {
            for path in [&folder, &password] {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give files away");
            }
        }
        let data = folder.join("data");
        let made = unprivileged(&programs.join("initdb"))
            .args([
                "--no-sync",
                "--auth=scram-sha-256",
                "--username=mpscript",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .arg(format!("--pwfile={}", password.display()))
            .arg("--pgdata")
            .arg(&data)
            .status()
            .expect("setpriv is there");
        assert!(made.success(), "initdb failed");
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let mut server = unprivileged(&programs.join("postgres"));
        server.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        for setting in
            ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=100"]
        {
            server.args(["-c", setting]);
        }
        // The server ends with the thread that started it: this one lives as long as the process.
        let (started, is_started) = mpsc::channel();
        thread::spawn(move || {
            let child = server.spawn();
            let _ = started.send(child.is_ok());
            if let Ok(mut child) = child {
                let _ = child.wait();
            }
        });
        assert_eq!(is_started.recv(), Ok(true), "postgres starts");
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(since.elapsed() < PATIENCE, "postgres does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        Self { port }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://mpscript:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of a new, empty database.
    pub(crate) fn database(&self) -> Secret {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        // One at a time: a template that is being copied can't be copied again.
        static GATE: Mutex<()> = Mutex::new(());
        let _gate = GATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        let since = Instant::now();
        loop {
            let created = Command::new("psql")
                .args(["--quiet", "--command", &format!("CREATE DATABASE {name}"), "postgres"])
                .env("PGHOST", "127.0.0.1")
                .env("PGPORT", self.port.to_string())
                .env("PGUSER", "mpscript")
                .env("PGPASSWORD", PASSWORD)
                .output()
                .expect("psql is there");
            if created.status.success() {
                return Secret::new(self.url(&name));
            }
            // It listens before it has started up.
            assert!(since.elapsed() < PATIENCE, "{}", String::from_utf8_lossy(&created.stderr));
            thread::sleep(Duration::from_millis(50));
        }
    }
}
