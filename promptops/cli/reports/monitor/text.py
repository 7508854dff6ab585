"""A check as a person reads it in a terminal."""

from promptops.cli.reports.monitor.lines import HEADERS, alarm_head, alarm_lines, head_line, status_cells
from promptops.console import note, print_styled, print_table, print_text
from promptops.monitoring.check import TargetCheck

_COLOURS = {"alarm": "red", "quiet": "green"}


def print_check(check: TargetCheck) -> None:
    print_styled([(head_line(check), _COLOURS.get(check.state, "yellow"))])
    for alarm in check.alarms:
        first, *others = alarm_lines(alarm)
        print_styled([("  alarm: ", "red"), (first, "")])
        for line in others:
            print_text(f"    {line}")
    for alarm in check.ended:
        print_text(f"  over: {alarm_head(alarm)}")
    if check.metrics:
        print_text("")
        print_table(HEADERS, [status_cells(each) for each in check.metrics], numeric=(3, 4))
        print_text("")
    for text in check.notes:
        note(f"{check.target}: {text}")
