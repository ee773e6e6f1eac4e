//! The servers behind nginx, which all clients then come through.

use crate::{
    daemon::metrics::{get, measured_with, send},
    fixtures::{
        account::request_to,
        prerequisites::missing,
        program::{Folder, TIMEOUT},
        sandbox_process::SandboxProcess,
        slow_readers::SlowReaders,
    },
};
use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// nginx, where it is installed: on the path, or beside it for an ordinary user.
pub(crate) fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("nginx")).find(|program| program.exists())
}

/// nginx in front of a server; ended when it is dropped.
struct Proxy {
    child: Child,
    place: String,
    _folder: TempDir,
}

impl Proxy {
    /// Passes everything on to this address; `more` are directives of that.
    fn start(program: &Path, to: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let place = free.local_addr().expect("a listener has an address").to_string();
        drop(free);
        let here = folder.path().display();
        let config = format!(
            "daemon off; master_process off; worker_processes 1; pid {here}/pid; error_log {here}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;\n\
             fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;\n\
             server {{ listen {place}; location / {{ proxy_pass http://{to}; {more} }} }} }}\n"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).expect("a file can be written");
        let mut command = Command::new(program);
        command.arg("-p").arg(folder.path()).arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("nginx starts");
        let proxy = Self { child, place, _folder: folder };
        let since = Instant::now();
        while TcpStream::connect(&proxy.place).is_err() {
            assert!(since.elapsed() < TIMEOUT, "nginx does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status line for this Host, behind nginx with these directives, of a daemon with these arguments.
fn status(nginx: &Path, directives: &str, host: &str, more: &[&str]) -> String {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account().file("jobs/plain.rhai", "print(1)");
    let (_daemon, place) = measured_with(&folder, &sandbox, more);
    let proxy = Proxy::start(nginx, &place, directives);
    send(&proxy.place, &request_to(host, "GET", "/healthz", &[("Connection", "close")], b"")).0
}

#[test]
fn server_behind_a_proxy_is_reached_by_any_name() {
    let Some(nginx) = program() else { return missing("nginx") };
    assert_eq!(status(&nginx, "", "shop.example.com", &[]), "HTTP/1.1 200 OK");
}

#[test]
fn name_that_a_proxy_passes_on_must_be_allowed() {
    let Some(nginx) = program() else { return missing("nginx") };
    let pass = "proxy_set_header Host $host;";
    let line = status(&nginx, pass, "shop.example.com", &["--allow-host", "shop.example.com"]);
    assert_eq!(line, "HTTP/1.1 200 OK");
    assert_eq!(status(&nginx, pass, "shop.example.com", &[]), "HTTP/1.1 421 Misdirected Request");
}

#[test]
fn health_behind_a_proxy_is_answered_despite_stalled_readers() {
    let Some(nginx) = program() else { return missing("nginx") };
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account().file("jobs/plain.rhai", "print(1)");
    let (_daemon, place) = measured_with(&folder, &sandbox, &[]);
    // It hands on what it gets, so that its connections are as slow as its clients.
    let proxy = Proxy::start(&nginx, &place, "proxy_buffering off;");
    let _readers = SlowReaders::of(&proxy.place, "/metrics");
    assert_eq!(get(&proxy.place, "GET", "/healthz").1, "ok\n");
}
