//! The bulk job against two other clients: one that does nothing but send the same requests, and one that
//! sends them one after another. Beside that, what the job takes in memory, and what a filter costs.
//!
//!     cargo bench --bench bulk_job
//!     cargo bench --bench bulk_job -- quick
//!
//! Every time is a ratio of runs on this machine, each against a fresh sandbox process. `quick` makes all
//! worlds ten times smaller, and holds nothing to its bounds: in a second, starting counts for too much.
//! `MPSCRIPT_PYTHON` names a Python that has wechatpy, for the sequential client.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod harness;

use harness::{APPID, Job, Outcome, SECRET, Sandbox};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use mpscript::base::lock;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    env, fs,
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};
use tokio::{net::TcpStream, sync::Semaphore, task::JoinSet};

const SCENE: u32 = 98765;

/// The platform's days are too short for a million followers; the bench is not about that.
const LIFTED: [&str; 3] =
    ["/cgi-bin/user/get", "/cgi-bin/user/info/batchget", "/cgi-bin/tags/members/batchtagging"];

/// Calls in flight together, of the job and of the bare client alike.
const IN_FLIGHT: usize = 64;

/// Openids of a call that reads details.
const READ: u32 = 100;

/// Openids of a call that tags.
const WRITE: usize = 50;

/// Followers that the sequential client works on: a sample, since all of them would take minutes. With a nearby server it
/// gets through more in the same time.
const PART: u32 = 10_000;
const PART_NEARBY: u32 = 50_000;

/// How often times that are compared are measured, in turns. The best one counts: other load on the machine can only
/// lengthen a measurement.
const TURNS: usize = 2;

const MAX_RATIO_TO_BARE: f64 = 1.25;
const MIN_SPEEDUP: f64 = 50.0;
const MIN_SPEEDUP_NEARBY: f64 = 4.0;
const MAX_MEMORY_KIB: u32 = 64 * 1024;
const MAX_GROWTH_PERCENT: f64 = 20.0;
const MAX_FILTER_COST_PERCENT: f64 = 5.0;

/// An account, and how far away it is.
#[derive(Clone, Copy)]
struct World {
    followers: u32,
    latency: &'static str,
}

impl World {
    /// Those who came from the scene.
    fn matching(self) -> u32 {
        self.followers / 5
    }
}

/// A sandbox with this account.
fn sandbox(world: World) -> Outcome<Sandbox> {
    let lifted = LIFTED.iter().flat_map(|path| ["--quota".to_owned(), format!("{path}=100000000")]);
    let scene = ["--scene".to_owned(), format!("{SCENE}={}", world.matching())];
    Sandbox::start(world.followers, world.latency, &scene.into_iter().chain(lifted).collect::<Vec<_>>())
}

/// Seconds of processor time of a sandbox so far.
fn processor_of(sandbox: &Sandbox) -> f64 {
    processor(&sandbox.id().to_string(), 11)
}

/// Seconds of processor time of a process: two fields of its `stat` from this one on, counted behind the
/// name; from 11 on its own time, from 13 on that of its children who have ended. 0 where the system does
/// not say.
fn processor(process: &str, from: usize) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // The kernel shows hundredths of a second to programs, whatever it counts in.
    fields.skip(from).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// What one run took.
#[derive(Clone, Copy)]
struct Run {
    seconds: f64,
    /// Seconds of processor time, and what the sandbox had meanwhile.
    processor: f64,
    of_sandbox: f64,
    peak_kib: u32,
    calls: u64,
}

impl Run {
    fn print(&self, name: &str) {
        let Self { seconds, processor, of_sandbox, peak_kib, calls } = self;
        print!(
            "  {name:<28}{seconds:>8.2} s{processor:>8.2} s of processor, {of_sandbox:.2} s at the sandbox"
        );
        print!(", {calls} calls");
        if *peak_kib > 0 {
            print!(", {peak_kib} KiB");
        }
        println!();
    }
}

/// Runs `mpscript run` with these arguments against a fresh sandbox.
fn job(world: World, what: &[&str], in_flight: Option<usize>) -> Outcome<Run> {
    let sandbox = sandbox(world)?;
    let in_flight = in_flight.map(|calls| format!("--in-flight={calls}"));
    let arguments: Vec<&str> = what.iter().copied().chain(in_flight.as_deref()).collect();
    let of_children = processor("self", 13);
    let of_sandbox = processor_of(&sandbox);
    let Job { seconds, peak_kib, report } = Job::run(&sandbox, &arguments)?;
    if report["matched"].as_u64() != Some(world.matching().into()) {
        return Err(format!("{} instead of {} matched", report["matched"], world.matching()).into());
    }
    let calls = report["calls"].as_object().map(|calls| calls.values().filter_map(Value::as_u64).sum());
    Ok(Run {
        seconds,
        processor: processor("self", 13) - of_children,
        of_sandbox: processor_of(&sandbox) - of_sandbox,
        peak_kib,
        calls: calls.unwrap_or_default(),
    })
}

/// The main script.
fn tagging(world: World, in_flight: Option<usize>) -> Outcome<Run> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/tag_qr_scene.rhai");
    job(world, &[script.to_str().ok_or("the path is no text")?], in_flight)
}

/// Those whom the main script tags, as it sends them: the same seed makes the same world in every sandbox.
fn matching(world: World) -> Outcome<Arc<[String]>> {
    let folder = tempfile::tempdir()?;
    let table = folder.path().join("matching.csv");
    let path = json!(table.to_str().ok_or("the path is no text")?);
    let text = format!("followers().filter(|u| u.qr_scene == {SCENE}).write_csv({path})");
    job(World { latency: "0ms", ..world }, &["-e", &text], None)?;
    let table = fs::read_to_string(table)?;
    // The first line names the column.
    Ok(table.lines().skip(1).map(|openid| openid.trim().to_owned()).collect())
}

/// Sends what the main script sends, and does nothing else, against a fresh sandbox.
fn bare(world: World, matching: &Arc<[String]>) -> Outcome<Run> {
    let sandbox = sandbox(world)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let own = processor("self", 11);
    let of_sandbox = processor_of(&sandbox);
    let begin = Instant::now();
    let host = sandbox.url.trim_start_matches("http://").to_owned();
    let calls = runtime.block_on(Bare::run(host, world, Arc::clone(matching)))?;
    Ok(Run {
        seconds: begin.elapsed().as_secs_f64(),
        processor: processor("self", 11) - own,
        of_sandbox: processor_of(&sandbox) - of_sandbox,
        peak_kib: 0,
        calls,
    })
}

/// What the bare client must know of a page to go on.
#[derive(Deserialize)]
struct Page {
    total: usize,
    data: Openids,
    next_openid: String,
}

#[derive(Deserialize)]
struct Openids {
    openid: Vec<String>,
}

/// A connection that is kept open.
struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    host: String,
}

impl Connection {
    async fn open(host: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with its sender; what goes wrong in it is the sender's error too.
        tokio::spawn(connection);
        Ok(Self { sender, host: host.to_owned() })
    }

    /// Sends a request, a GET if it has no body, and reads the whole answer, which has to begin like this.
    async fn exchange(&mut self, path: String, body: Option<String>, begins: &str) -> Outcome<Bytes> {
        let method = if body.is_some() { "POST" } else { "GET" };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(Full::from(body.unwrap_or_default()))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?.into_body().collect().await?.to_bytes();
        if !answer.starts_with(begins.as_bytes()) {
            let answer: String = String::from_utf8_lossy(&answer).chars().take(200).collect();
            return Err(format!("an answer does not begin with {begins}: {answer}").into());
        }
        Ok(answer)
    }
}

/// A client without retries, counts, a journal, scripts, or a look at the details that it gets.
struct Bare {
    token: String,
    tagid: i64,
    world: World,
    matching: Arc<[String]>,
    places: Semaphore,
    idle: Mutex<Vec<Connection>>,
    answered: AtomicUsize,
}

impl Bare {
    /// Reads and tags as many as the job does; says how many calls it made.
    async fn run(host: String, world: World, matching: Arc<[String]>) -> Outcome<u64> {
        let mut lister = Connection::open(&host).await?;
        let body = json!({"grant_type": "client_credential", "appid": APPID, "secret": SECRET}).to_string();
        let answer =
            lister.exchange("/cgi-bin/stable_token".to_owned(), Some(body), "{\"access_token\"").await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let token = answer["access_token"].as_str().ok_or("there is no token")?.to_owned();
        lister.exchange(format!("/cgi-bin/tags/get?access_token={token}"), None, "{\"tags\"").await?;
        let path = format!("/cgi-bin/tags/create?access_token={token}");
        let body = json!({"tag": {"name": format!("QR {SCENE}")}}).to_string();
        let answer: Value = serde_json::from_slice(&lister.exchange(path, Some(body), "{\"tag\"").await?)?;
        let tagid = answer["tag"]["id"].as_i64().ok_or("the tag has no id")?;

        // A place is kept for the listing, so that it never waits behind the details of the page before.
        let mut idle = Vec::new();
        for _ in 1..IN_FLIGHT {
            idle.push(Connection::open(&host).await?);
        }
        let places = Semaphore::new(idle.len());
        let idle = Mutex::new(idle);
        let bare =
            Arc::new(Self { token, tagid, world, matching, places, idle, answered: AtomicUsize::new(0) });
        let mut parts = JoinSet::new();
        let (mut pages, mut people, mut cursor) = (0, 0, String::new());
        loop {
            let path = format!("/cgi-bin/user/get?access_token={}&next_openid={cursor}", bare.token);
            let page: Page = serde_json::from_slice(&lister.exchange(path, None, "{\"total\"").await?)?;
            pages += 1;
            people += page.data.openid.len();
            for part in page.data.openid.chunks(READ as usize) {
                parts.spawn(Arc::clone(&bare).part(part.to_vec()));
            }
            if people >= page.total {
                break;
            }
            cursor = page.next_openid;
        }
        bare.give_back(lister);
        bare.places.add_permits(1);
        let mut calls = 3 + pages;
        while let Some(made) = parts.join_next().await {
            calls += made??;
        }
        Ok(calls)
    }

    /// Reads the details of these, and tags some of them if it is time to; says how many calls that made.
    async fn part(self: Arc<Self>, openids: Vec<String>) -> Outcome<u64> {
        let _place = self.places.acquire().await?;
        let idle = lock(&self.idle).pop();
        let mut connection = idle.ok_or("there are fewer connections than places")?;
        let user_list: Vec<Value> =
            openids.iter().map(|openid| json!({"openid": openid, "lang": "zh_CN"})).collect();
        let path = format!("/cgi-bin/user/info/batchget?access_token={}", self.token);
        let body = json!({ "user_list": user_list }).to_string();
        connection.exchange(path, Some(body), "{\"user_info_list\"").await?;
        let answered = self.answered.fetch_add(1, Ordering::Relaxed);
        let number = self.tagged_by(answered);
        let part = self.matching.chunks(WRITE).nth(number).filter(|_| self.tagged_by(answered + 1) > number);
        if let Some(part) = part {
            let path = format!("/cgi-bin/tags/members/batchtagging?access_token={}", self.token);
            let body = json!({"openid_list": part, "tagid": self.tagid}).to_string();
            connection.exchange(path, Some(body), "{\"errcode\":0").await?;
        }
        self.give_back(connection);
        Ok(1 + u64::from(part.is_some()))
    }

    /// How many calls that tag there are after so many that read: evenly, and in the end as many as the job
    /// makes.
    fn tagged_by(&self, answered: usize) -> usize {
        let reads = self.world.followers.div_ceil(READ);
        answered * self.matching.len().div_ceil(WRITE) / reads as usize
    }

    fn give_back(&self, connection: Connection) {
        lock(&self.idle).push(connection);
    }
}

/// Seconds that the sequential client would need for this world, from a part of one; `None` without a
/// Python to run it.
fn sequential(world: World, part: u32) -> Outcome<Option<f64>> {
    #[derive(Deserialize)]
    struct Took {
        read: f64,
        read_seconds: f64,
        tagged: f64,
        write_seconds: f64,
    }

    let Some(python) = env::var_os("MPSCRIPT_PYTHON") else { return Ok(None) };
    let sandbox = sandbox(World { followers: 10 * part, ..world })?;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/sequential.py");
    let output = Command::new(python)
        .arg(program)
        .args([&sandbox.url, APPID, SECRET, &SCENE.to_string(), &part.to_string()])
        // A proxy of the machine's is not for a sandbox on it.
        .env("NO_PROXY", "127.0.0.1")
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the sequential client ended with {}", output.status).into());
    }
    let Took { read, read_seconds, tagged, write_seconds } = serde_json::from_slice(&output.stdout)?;
    println!(
        "  sequential, {read} followers: {read_seconds:.2} s to read, {write_seconds:.2} s to tag {tagged}"
    );
    Ok(Some(
        read_seconds * f64::from(world.followers) / read
            + write_seconds * f64::from(world.matching()) / tagged,
    ))
}

/// The run that took the least time.
fn best(runs: &[Run]) -> Outcome<Run> {
    let best = runs.iter().min_by(|one, other| one.seconds.total_cmp(&other.seconds));
    Ok(*best.ok_or("nothing was measured")?)
}

/// Prints a figure beside its bound; says whether it is within.
fn at_most(name: &str, figure: f64, bound: f64) -> bool {
    println!("  {name:<28}{figure:>8.2}   at most {bound}");
    figure <= bound
}

/// Prints a figure beside its bound; says whether it is within.
fn at_least(name: &str, figure: f64, bound: f64) -> bool {
    println!("  {name:<28}{figure:>8.2}   at least {bound}");
    figure >= bound
}

/// The job and the bare client in turns; the job's best run is what later figures are held against.
fn against_bare(world: World) -> Outcome<(bool, Run)> {
    println!("\n{} followers, {} an answer, {IN_FLIGHT} in flight", world.followers, world.latency);
    let matching = matching(world)?;
    let (mut bares, mut jobs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let run = bare(world, &matching)?;
        run.print("bare client");
        bares.push(run);
        let run = tagging(world, Some(IN_FLIGHT))?;
        run.print("job");
        jobs.push(run);
    }
    let (bare, job) = (best(&bares)?, best(&jobs)?);
    // Who sends less has no claim to be faster. The job also asks what is left of the day's quotas.
    let mut good = bare.calls <= job.calls;
    if !good {
        println!("  the job made {} calls and the bare client {}", job.calls, bare.calls);
    }
    good &= at_most("job / bare client", job.seconds / bare.seconds, MAX_RATIO_TO_BARE);
    let peak_kib = jobs.iter().map(|run| run.peak_kib).max().unwrap_or_default();
    good &= at_most("peak memory of the job, KiB", peak_kib.into(), MAX_MEMORY_KIB.into());
    Ok((good, job))
}

/// The sequential client and a run of the job.
fn against_sequential(world: World, part: u32, job: &Run, bound: f64) -> Outcome<bool> {
    println!("\n{} followers, {} an answer, one call after another", world.followers, world.latency);
    let Some(seconds) = sequential(world, part)? else {
        println!("  left out: MPSCRIPT_PYTHON names no Python that has wechatpy");
        return Ok(true);
    };
    println!("  sequential, all of them     {seconds:>8.2} s");
    println!("  job                         {:>8.2} s", job.seconds);
    Ok(at_least("sequential / job", seconds / job.seconds, bound))
}

/// The job at accounts of growing size; the one of the middle size, too.
fn growth(sizes: [u32; 3]) -> Outcome<(bool, Run)> {
    println!("\n0 ms an answer, calls in flight as by default");
    let mut runs = Vec::new();
    for followers in sizes {
        let world = World { followers, latency: "0ms" };
        let run = best(&(0..TURNS).map(|_| tagging(world, None)).collect::<Outcome<Vec<_>>>()?)?;
        run.print(&format!("{followers} followers"));
        println!("    seconds a million         {:>8.2}", run.seconds / f64::from(followers) * 1e6);
        runs.push(run);
    }
    let [small, middle, large] = runs.try_into().map_err(|_| "there are three sizes")?;
    let growth = 100.0 * (f64::from(large.peak_kib) / f64::from(small.peak_kib) - 1.0);
    let mut good = at_most("peak memory, KiB", large.peak_kib.into(), MAX_MEMORY_KIB.into());
    good &= at_most("its growth, %", growth, MAX_GROWTH_PERCENT);
    Ok((good, middle))
}

/// A filter that lets everybody through, before one that does not.
fn filter(world: World) -> Outcome<bool> {
    println!("\n{} followers, {} an answer, counted", world.followers, world.latency);
    let one = format!("followers().filter(|u| u.qr_scene == {SCENE}).count()");
    let two = format!("followers().filter(|u| true).filter(|u| u.qr_scene == {SCENE}).count()");
    let (mut ones, mut twos) = (Vec::new(), Vec::new());
    for _ in 0..=TURNS {
        for (name, text, runs) in [("one filter", &one, &mut ones), ("two filters", &two, &mut twos)] {
            let run = job(world, &["-e", text], Some(IN_FLIGHT))?;
            run.print(name);
            runs.push(run);
        }
    }
    let (one, two) = (best(&ones)?, best(&twos)?);
    println!("  of processor time, %        {:>8.2}", 100.0 * (two.processor / one.processor - 1.0));
    Ok(at_most("a filter more, %", 100.0 * (two.seconds / one.seconds - 1.0), MAX_FILTER_COST_PERCENT))
}

fn bench() -> Outcome<bool> {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    println!("load of the machine: {} on {processors} processors", load.trim());
    // Cargo says --bench besides.
    let is_quick = env::args().any(|argument| argument == "quick");
    let scale = if is_quick { 10 } else { 1 };
    let world = World { followers: 1_000_000 / scale, latency: "20ms" };

    let (mut good, job) = against_bare(world)?;
    good &= against_sequential(world, PART, &job, MIN_SPEEDUP)?;
    let (is_bounded, job) = growth([100_000 / scale, 1_000_000 / scale, 5_000_000 / scale])?;
    good &= is_bounded;
    let near = World { latency: "0ms", ..world };
    good &= against_sequential(near, PART_NEARBY / scale, &job, MIN_SPEEDUP_NEARBY)?;
    good &= filter(world)?;
    Ok(good || is_quick)
}

fn main() -> ExitCode {
    match bench() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("\nsomething is out of its bounds");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("\nthe bench did not run: {error}");
            ExitCode::FAILURE
        }
    }
}
