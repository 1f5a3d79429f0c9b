//! `punctual run logs`: the bytes as written, both streams as they were interleaved.

use std::io::{self, Write};

use punctual_proto::v1::run_log_chunk::Stream;
use punctual_proto::v1::{GetRunLogsRequest, RunLogChunk};

use crate::client::Server;
use crate::commands::follow;
use crate::failure::Failure;
use crate::settings::{Output, Settings};
use crate::value;
use crate::view::json;

/// Chunks asked for at a time; a chunk may be large.
const CHUNKS: i32 = 100;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the run
    run_id: String,
    /// Only this attempt [default: all, in order]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    attempt: i32,
    /// Only this stream: stdout or stderr [default: both]
    #[arg(long, value_name = "STREAM", value_parser = stream)]
    stream: Option<Stream>,
    /// Go on with what the task writes, until the run has ended
    #[arg(long, short, conflicts_with_all = ["attempt", "stream"])]
    follow: bool,
}

fn stream(text: &str) -> Result<Stream, String> {
    value::name(text, Stream::from_str_name, &["STDOUT", "STDERR"])
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let mut paper = Paper::new(settings.output);
    if args.follow {
        follow::output(&server, settings, &args.run_id, |chunk| {
            paper.write(chunk)?;
            paper.flush()
        })
        .await?;
        return Ok(paper.end()?);
    }
    let mut request = GetRunLogsRequest {
        namespace: settings.namespace.clone(),
        run_id: args.run_id,
        attempt: args.attempt,
        stream: args.stream.unwrap_or(Stream::Unspecified).into(),
        page_size: CHUNKS,
        page_token: String::new(),
    };
    loop {
        let page = server.answer(server.runs().get_run_logs(request.clone()).await)?;
        page.chunks.iter().try_for_each(|chunk| paper.write(chunk))?;
        if page.next_page_token.is_empty() {
            return Ok(paper.end()?);
        }
        request.page_token = page.next_page_token;
    }
}

/// Writes chunk by chunk, since a log may be larger than memory. Not through anstream: what the task wrote is
/// not ours to strip.
pub(crate) struct Paper {
    output: Output,
    out: io::Stdout,
    chunks: u64,
}

impl Paper {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, out: io::stdout(), chunks: 0 }
    }

    pub(crate) fn write(&mut self, chunk: &RunLogChunk) -> io::Result<()> {
        self.chunks += 1;
        match self.output {
            Output::Json => {
                let before = if self.chunks == 1 { "{\"chunks\":[\n" } else { ",\n" };
                self.out.write_all(before.as_bytes())?;
                serde_json::to_writer(&mut self.out, &json::of(chunk)).map_err(io::Error::from)
            }
            Output::Table => {
                if chunk.truncated_bytes > 0 {
                    self.out.flush()?;
                    anstream::eprintln!("note: {} bytes were dropped here", chunk.truncated_bytes);
                }
                self.out.write_all(&chunk.data)
            }
        }
    }

    /// What has been written is to be seen now.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(crate) fn end(mut self) -> io::Result<()> {
        if self.output == Output::Json {
            let start = if self.chunks == 0 { "{\"chunks\":[" } else { "\n" };
            self.out.write_all(start.as_bytes())?;
            self.out.write_all(b"],\"nextPageToken\":\"\"}\n")?;
        }
        self.out.flush()
    }
}
