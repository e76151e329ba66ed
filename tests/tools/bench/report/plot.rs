//! Pictures of items, as SVG. Pure. They have a ground of their own, so that they can be read on a dark page too.

use std::ops::Range;

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::model::{Axis, Item, Line, Plot, Row};

const GROUND: RGBColor = RGBColor(250, 250, 247);
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(205, 205, 200);
/// Told apart by people who see few colours too.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
const WIDTH: u32 = 900;
const FONT: (&str, i32) = ("sans-serif", 14);

/// Whether an item has a picture.
pub(crate) fn is_drawn(item: &Item) -> bool {
    match &item.plot {
        Some(Plot::Ratios) => item.rows.iter().any(|row| row.ratio.is_some()),
        Some(Plot::Lines { lines, .. }) => lines.iter().any(|line| !line.points.is_empty()),
        None => false,
    }
}

/// The picture of an item that has one.
pub(crate) fn draw(item: &Item) -> Result<Option<String>> {
    if !is_drawn(item) {
        return Ok(None);
    }
    let mut text = String::new();
    match &item.plot {
        Some(Plot::Ratios) => ratios(&mut text, &item.rows),
        Some(Plot::Lines { x, y, lines }) => over(&mut text, x, y, lines),
        None => Ok(()),
    }
    .map_err(|error| anyhow!("draw {}: {error}", item.id))?;
    Ok(Some(text))
}

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// A row's difference to nothing in percent: lower quartile, median, upper quartile.
fn difference(row: &Row) -> Option<[f64; 3]> {
    let base = row.median / row.ratio?;
    Some([row.low, row.median, row.high].map(|figure| (figure / base - 1.0) * 100.0))
}

/// A bar for each row, its label above it.
fn ratios(text: &mut String, rows: &[Row]) -> Drawn {
    let bars: Vec<(&str, [f64; 3])> = rows
        .iter()
        .filter_map(|row| Some((&*row.label, difference(row)?)))
        .collect();
    let ends = bars.iter().flat_map(|(_, ends)| ends).copied();
    let range = ends.fold(0.0..1.0_f64, |range: Range<f64>, end| {
        range.start.min(end)..range.end.max(end)
    });
    let height = u32::try_from(bars.len())? * 40 + 70;
    let area = SVGBackend::with_string(text, (WIDTH, height)).into_drawing_area();
    area.fill(&GROUND)?;
    let room = (range.end - range.start) * 0.03;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(45)
        .build_cartesian_2d(range.start - room..range.end + room, bars.len() as f64..0.0)?;
    let font = FONT.into_font().color(&INK);
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(GROUND)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(font.clone())
        .x_desc("difference to nothing, %; the line is from quartile to quartile")
        .draw()?;
    for (index, (label, [low, median, high])) in bars.iter().enumerate() {
        let top = index as f64;
        let colour = if label.contains("tcpvitals") {
            COLOURS[0]
        } else {
            COLOURS[1]
        };
        let bar = [(0.0, top + 0.5), (*median, top + 0.9)];
        chart.draw_series([Rectangle::new(bar, colour.mix(0.8).filled())])?;
        let quartiles = vec![(*low, top + 0.7), (*high, top + 0.7)];
        chart.draw_series([PathElement::new(quartiles, INK)])?;
        let style = font.clone().pos(Pos::new(HPos::Left, VPos::Bottom));
        let said = format!("{}: {median:+.2} %", label.replace('`', ""));
        chart.draw_series([Text::new(said, (range.start.max(0.0), top + 0.48), style)])?;
    }
    area.present()?;
    drop(chart);
    Ok(())
}

/// Lines over a common axis.
fn over(text: &mut String, x: &Axis, y: &Axis, lines: &[Line]) -> Drawn {
    let place = |axis: &Axis, figure: f64| if axis.logarithmic { figure.log10() } else { figure };
    let range = |axis: &Axis, which: fn(&(f64, f64)) -> f64| {
        let all = lines.iter().flat_map(|line| &line.points).map(which);
        let all = all
            .map(|figure| place(axis, figure))
            .filter(|figure| figure.is_finite());
        let start = if axis.logarithmic {
            f64::INFINITY..f64::NEG_INFINITY
        } else {
            0.0..0.0
        };
        let range = all.fold(start, |range, figure| range.start.min(figure)..range.end.max(figure));
        let room = ((range.end - range.start) * 0.05).max(0.01);
        range.start - room..range.end + room
    };
    let shown = |axis: &Axis, place: f64| {
        let figure = if axis.logarithmic { 10_f64.powf(place) } else { place };
        if figure >= 1000.0 {
            format!("{figure:.0}")
        } else {
            super::page::number(figure)
        }
    };
    let area = SVGBackend::with_string(text, (WIDTH, 420)).into_drawing_area();
    area.fill(&GROUND)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(45)
        .y_label_area_size(75)
        .build_cartesian_2d(range(x, |point| point.0), range(y, |point| point.1))?;
    let font = FONT.into_font().color(&INK);
    chart
        .configure_mesh()
        .light_line_style(GROUND)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(font.clone())
        .x_desc(&*x.title)
        .y_desc(&*y.title)
        .x_label_formatter(&|figure| shown(x, *figure))
        .y_label_formatter(&|figure| shown(y, *figure))
        .draw()?;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let points = line.points.iter().map(|point| (place(x, point.0), place(y, point.1)));
        let points: Vec<(f64, f64)> = points.collect();
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.clone(), style))?
            .label(&*line.label)
            .legend(move |(left, middle)| PathElement::new(vec![(left, middle), (left + 18, middle)], style));
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .background_style(GROUND.mix(0.9))
        .border_style(GRID)
        .label_font(font)
        .draw()?;
    area.present()?;
    drop(chart);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(plot: Plot, rows: Vec<Row>) -> Item {
        Item {
            plot: Some(plot),
            rows,
            ..Item::default()
        }
    }

    #[test]
    fn a_bar_is_as_long_as_the_difference() {
        let row = Row {
            label: "tcpvitals, `<full>`".to_owned(),
            median: 110.0,
            low: 105.0,
            high: 120.0,
            ratio: Some(1.1),
            ..Row::default()
        };
        let [low, median, high] = difference(&row).unwrap();
        assert!((low - 5.0).abs() < 1e-9 && (median - 10.0).abs() < 1e-9 && (high - 20.0).abs() < 1e-9);
        let text = draw(&item(Plot::Ratios, vec![row])).unwrap().unwrap();
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        assert!(text.contains("tcpvitals, &lt;full&gt;: +10.00 %"), "{text}");
    }

    #[test]
    fn lines_are_drawn_on_axes_of_both_kinds() {
        let axis = |title: &str, logarithmic| Axis {
            title: title.to_owned(),
            logarithmic,
        };
        let line = Line {
            label: "fold".to_owned(),
            points: vec![(10.0, 1.0), (1000.0, 2.0)],
        };
        let plot = |lines| Plot::Lines {
            x: axis("flows", true),
            y: axis("time, µs", false),
            lines,
        };
        let text = draw(&item(plot(vec![line]), Vec::new())).unwrap().unwrap();
        for said in ["fold", "flows", "time, µs", "polyline"] {
            assert!(text.contains(said), "no {said} in {text}");
        }
        assert_eq!(draw(&item(plot(Vec::new()), Vec::new())).unwrap(), None);
    }
}
