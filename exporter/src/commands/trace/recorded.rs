//! Prints a recorded trace.

use super::{
    binary::{Fault, Reader},
    error::TraceError,
    output::Output,
    printer::Printer,
};
use crate::{
    cli::TraceArguments,
    lifecycle::signals::{self, stop::Written},
};
use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};
use tcpvitals_metrics::rows::trace::item::Item;

/// Prints what a file has, as far as it goes.
pub(super) fn print(path: &Path, arguments: &TraceArguments) -> Result<(), TraceError> {
    // Until there is something to print, nothing has to be ended in order.
    signals::let_through().map_err(|error| TraceError::Wait(error.into()))?;
    let named = || path.display().to_string();
    let from: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let open = File::open(path);
        Box::new(open.map_err(|source| TraceError::Open { path: named(), source })?)
    };
    let fault = |source: Fault| TraceError::Recorded { path: named(), source };
    let mut reader = Reader::new(BufReader::new(from)).map_err(fault)?;
    let mut printer = Printer::new(arguments, reader.setting().clone())?;
    let mut output = Output::new(None).map_err(TraceError::Write)?;
    output.add(&printer.header());
    let mut shown = 0;
    while arguments.count.is_none_or(|count| shown < count) {
        let item = match reader.read() {
            Ok(Some(item)) => item,
            Ok(None) => break,
            Err(error) => {
                output.write().map_err(TraceError::Write)?;
                return Err(fault(error));
            }
        };
        if let Some(bytes) = printer.print(&item)? {
            shown += u64::from(matches!(item, Item::Event(..)));
            output.add(&bytes);
        }
        if output.is_full() && output.write().map_err(TraceError::Write)? != Written::All {
            return Ok(());
        }
    }
    output.write().map_err(TraceError::Write)?;
    Ok(())
}
