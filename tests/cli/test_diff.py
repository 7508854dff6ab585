import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from support.front_door import GREET, Cli, Repo
from support.git_repositories import new_repository

PROMPTS = "prompts"
TONE = "prompts/partials/tone.md"
PLAIN = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {ticket: string}
messages:
  - role: system
    content: |
      You route tickets.
      {% include "partials/tone.md" %}
  - role: user
    content: "{{ ticket }}"
output: {schema: schemas/queue.yaml}
cases: plain.cases.jsonl
"""
SCHEMA = "type: object\nproperties: {queue: {type: string}}\n"
CASES = '{"id": "one", "inputs": {"ticket": "lost"}}\n{"id": "two", "inputs": {"ticket": "broken"}}\n'
WHOLE = {
    "prompts/plain.yaml": PLAIN,
    TONE: "Be brief.\n",
    "prompts/schemas/queue.yaml": SCHEMA,
    "prompts/plain.cases.jsonl": CASES,
    "prompts/other.yaml": "model: m\nmessages: [{role: user, content: hello}]\n",
}


@pytest.fixture
def project(repo: Repo) -> Repo:
    for path, text in WHOLE.items():
        repo.write(path, text)
    repo.commit("start")
    return repo


def edit(repo: Repo, path: str, *edits: tuple[str, str]) -> None:
    text = (repo.path / path).read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    repo.write(path, text)


class TestForms:
    def test_a_name_compares_head_with_the_working_tree(self, greeting: Repo, cli: Cli) -> None:
        edit(
            greeting, "prompts/greet.yaml", ("temperature: 0", "temperature: 0.7"), ("Greet {{", "Welcome {{")
        )
        done = cli("diff", "greet")
        assert (done.code, done.err) == (0, "")
        lines = done.out.splitlines()
        assert lines[0] == "greet changed: parameters, messages"
        assert re.fullmatch(r"  greet@\w{7} sha256:\w{12} -> greet sha256:\w{12}", lines[1])
        assert lines[2:4] == [
            "  parameters       temperature: 0 -> 0.7",
            "  messages         messages[1] user: +1 -1 words",
        ]
        assert lines[-2:] == ["messages[1] user", "    [-Greet-]{+Welcome+} {{ name }}."]
        assert cli("diff", "prompts/greet.yaml").out == done.out
        assert cli("diff").out == done.out
        assert cli("diff", "HEAD").out == done.out
        assert cli("diff", "main", "greet").out == done.out

    def test_two_references(self, greeting: Repo, cli: Cli) -> None:
        edit(greeting, "prompts/greet.yaml", ("2024-07-18", "2024-08-06"))
        greeting.commit("pin")
        for words in (
            ["greet@HEAD~1", "greet@HEAD"],
            ["greet@HEAD~1", "greet"],
            ["greet@HEAD~1"],
            ["greet@HEAD~1..HEAD"],
            ["greet@HEAD~1..."],
            ["HEAD~1..HEAD"],
            ["HEAD~1", "HEAD"],
            ["HEAD~1.."],
            ["main@{1}..HEAD"],
            ["@{1}"],
            ["HEAD~1..HEAD", "greet"],
        ):
            done = cli("diff", *words)
            assert done.out.startswith("greet changed: model pin\n"), (words, done)
            assert (
                "  model            openai/gpt-4o-mini-2024-07-18 -> openai/gpt-4o-mini-2024-08-06"
                in done.out
            )
        assert "no prompt `other` at HEAD~1 or at HEAD" in cli("diff", "HEAD~1..HEAD", "other").err
        assert cli("diff", "HEAD..HEAD", "greet").err == "nothing changed\n"
        digest = json.loads(cli("diff", "greet@HEAD~1", "--json").out)[0]["old"]["digest"]
        assert cli("diff", f"greet@{digest}", "greet").out.startswith("greet changed: model pin")
        assert cli("diff", f"greet@{digest}", "greet@HEAD~1").err == "nothing changed\n"

    def test_three_dots_compare_with_where_the_branches_parted(self, greeting: Repo, cli: Cli) -> None:
        greeting.git("checkout", "-q", "-b", "feature")
        edit(greeting, "prompts/greet.yaml", ("temperature: 0", "temperature: 1"))
        greeting.commit("feature")
        greeting.git("checkout", "-q", "main")
        edit(greeting, "prompts/greet.yaml", ("max_tokens: 64", "max_tokens: 128"))
        greeting.commit("main")
        both = ["temperature: 0 -> 1", "max_tokens: 128 -> 64"]
        assert [line in cli("diff", "greet@main..feature").out for line in both] == [True, True]
        assert [line in cli("diff", "main...feature").out for line in both] == [True, False]
        greeting.git("checkout", "-q", "--orphan", "alone")
        greeting.commit("alone")
        done = cli("diff", "main...alone")
        assert done.code == 4
        assert "have no common ancestor here" in done.err

    def test_staged_compares_head_with_the_index(self, greeting: Repo, cli: Cli) -> None:
        edit(greeting, "prompts/greet.yaml", ("temperature: 0", "temperature: 1"))
        greeting.git("add", "-A")
        edit(greeting, "prompts/greet.yaml", ("temperature: 1", "temperature: 2"))
        greeting.write("prompts/new.yaml", GREET)
        for words in (
            ["--staged"],
            ["--staged", "greet"],
            ["--staged", "HEAD"],
            ["--staged", "greet", "greet"],
        ):
            done = cli("diff", *words)
            assert "temperature: 0 -> 1\n" in done.out, words
            assert "new" not in done.out
        assert "greet@INDEX" in done.out
        assert "temperature: 1 -> 2" in cli("diff", "greet@INDEX").out
        assert "nothing changed" in cli("diff", "--staged", "greet@INDEX").err

    def test_the_first_commit_can_be_looked_at_before_it_is_made(self, repo: Repo, cli: Cli) -> None:
        repo.write("prompts/greet.yaml", GREET)
        repo.git("add", "-A")
        done = cli("diff", "--staged")
        assert done.out.splitlines()[0] == "greet added"
        for words in ([], ["greet"], ["HEAD~1..HEAD"], ["greet@HEAD", "greet"]):
            done = cli("diff", *words)
            assert done.code == 4
            assert "this repository has no commit yet" in done.err
            assert "git add prompts && git commit" in done.err

    def test_several_names(self, project: Repo, cli: Cli) -> None:
        for path in ("plain", "other"):
            edit(project, f"prompts/{path}.yaml", ("model: ", "model: x"))
        project.write("prompts/third.yaml", GREET)
        assert cli("diff", "--name-only", "other", "plain", "nothing@HEAD").code == 4
        assert cli("diff", "--name-only").out.split() == ["other", "plain", "third"]
        assert cli("diff", "--name-only", "other", "plain", "third").out.split() == [
            "other",
            "plain",
            "third",
        ]
        assert cli("diff", "--name-only", "HEAD", "other").out.split() == ["other"]
        done = cli("diff", "other", "plain")  # two versions of the working tree
        assert done.out.splitlines()[1].split()[0::3] == ["other", "plain"]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["nowhere"], "`nowhere` is neither a prompt nor a revision"),
            (["nowhere..HEAD"], "no revision `nowhere` in this repository"),
            (["greet@nowhere"], "no revision `nowhere` in this repository"),
            (["greet@HEAD..nowhere"], "no revision `nowhere`"),
            (["gret@HEAD"], "there is neither gret@"),
            (["gret@HEAD..HEAD"], "no prompt `gret` at HEAD or at HEAD"),
            (["greet:prodution"], "no channel `prodution`"),
            (["greet:production"], "nothing released yet"),
            (["greet@v3", "greet"], "nothing released yet"),
            (["UPPER"], "no revision `UPPER`"),
            (["HEAD", "HEAD", "HEAD"], "too many revisions"),
            (["HEAD..HEAD", "greet@HEAD"], "a revision is named twice"),
            (["--staged", "HEAD..HEAD"], "--staged compares with the index"),
            (["--staged", "greet@HEAD", "greet"], "--staged compares with the index"),
            (["--textconv", "nowhere"], "cannot read nowhere"),
        ],
    )
    def test_mistakes(self, words: list[str], message: str, greeting: Repo, cli: Cli) -> None:
        done = cli("diff", *words)
        assert (done.code, done.out) == (4, "")
        assert message in done.err
        assert len(done.err.splitlines()) <= 2

    def test_a_word_that_is_both_a_prompt_and_a_revision(self, greeting: Repo, cli: Cli) -> None:
        greeting.git("branch", "greet")
        done = cli("diff", "greet")
        assert done.code == 4
        assert "`greet` is both a prompt and a revision" in done.err
        assert cli("diff", "prompts/greet.yaml").code == cli("diff", "refs/heads/greet").code == 0

    def test_ambiguous_commit_prefixes_list_the_candidates(self, greeting: Repo, cli: Cli) -> None:
        greeting.git("tag", "twin")
        greeting.git("branch", "twin")
        done = cli("diff", "twin..HEAD")
        assert done.code == 4
        assert "`twin` is ambiguous: refs/heads/twin, refs/tags/twin" in done.err

    def test_a_version_found_by_its_digest_has_no_files_to_compare(self, project: Repo, cli: Cli) -> None:
        digest = json.loads(cli("diff", "other", "plain", "--json").out)[0]["new"]["digest"]
        edit(project, "prompts/plain.cases.jsonl", ("lost", "found"))
        edit(project, "prompts/plain.yaml", ("model:", "# pinned\nmodel:"))
        assert cli("diff", f"plain@{digest}", "plain").out.startswith("plain changed: comments or layout\n")
        edit(project, "prompts/plain.yaml", ("# pinned\n", ""))
        assert cli("diff", f"plain@{digest}", "plain").err == "nothing changed\n"


class TestAllPrompts:
    def test_added_deleted_renamed(self, project: Repo, cli: Cli) -> None:
        project.write("prompts/new.yaml", GREET)
        (project.path / "prompts/other.yaml").rename(project.path / "prompts/moved.yaml")
        project.commit("move")
        done = cli("diff", "HEAD~1..HEAD", "--stat")
        assert [line.split("  ")[0] for line in done.out.splitlines()[1:]] == ["moved", "new"]
        assert done.out.splitlines()[2].split() == ["new", "added", "-"]  # compared with nothing
        assert "renamed from other" in done.out
        shown = cli("diff", "HEAD~1..HEAD").out
        assert "the digest is unchanged: nothing that reaches the model changed" in shown
        (project.path / "prompts/plain.yaml").unlink()
        assert cli("diff").out.startswith("plain deleted\n  plain@")
        assert cli("diff", "plain").out == cli("diff").out
        assert cli("diff", "plain@HEAD..HEAD", "--exit-code").code == 0
        assert cli("diff", "new@HEAD~1", "new@HEAD").out.startswith("new added\n  new@")

    def test_a_rename_that_could_be_of_two_is_none(self, project: Repo, cli: Cli) -> None:
        text = (project.path / "prompts/other.yaml").read_text()
        (project.path / "prompts/other.yaml").unlink()
        project.write("prompts/b1.yaml", text)
        project.write("prompts/b2.yaml", text)
        statuses = {one["prompt"]: one["status"] for one in json.loads(cli("diff", "--json").out)}
        assert statuses == {"b1": "added", "b2": "added", "other": "deleted"}

    def test_a_broken_file_can_be_renamed(self, project: Repo, cli: Cli) -> None:
        project.write("prompts/bad.yaml", "model: [\n")
        project.commit("bad")
        project.git("mv", "prompts/bad.yaml", "prompts/worse.yaml")
        (one,) = json.loads(cli("diff", "--json").out)
        assert (one["prompt"], one["status"]) == ("worse", "renamed")

    @pytest.mark.parametrize(
        ("path", "old", "new", "told"),
        [
            (TONE, "brief", "kind", "partials         partials/tone.md: +1 -1 words"),
            ("prompts/schemas/queue.yaml", "queue", "team", "output           schema.properties.queue"),
            ("prompts/plain.cases.jsonl", "lost", "found", "cases            2 -> 2 cases: 1 changed"),
        ],
    )
    def test_changed_through_a_file_it_is_made_of(
        self, path: str, old: str, new: str, told: str, project: Repo, cli: Cli
    ) -> None:
        edit(project, path, (old, new))
        here = cli("diff").out
        project.git("add", "-A")
        staged = cli("diff", "--staged").out
        project.commit("parts")
        for shown in (here, staged, cli("diff", "HEAD~1..HEAD").out):
            assert shown.startswith("plain changed: ")
            assert f"  {told}" in shown
            assert f"through {path.removeprefix('prompts/')}" in shown
            assert shown.count("sha256:") == 2

    def test_a_partial_of_a_partial_a_link_and_an_escaped_name(self, project: Repo, cli: Cli) -> None:
        project.write("prompts/partials/outer.md", '{% include "partials/tone.md" %}')
        project.write("prompts/deep.yaml", PLAIN.replace("partials/tone", "partials/outer"))
        project.write(
            "prompts/escaped.yaml",
            "model: m\nmessages: [{role: user, content: \"{% include 'partials/\\x74one.md' %}\"}]\n",
        )
        (project.path / "prompts/linked.yaml").symlink_to("plain.yaml")
        project.write("prompts/mentions.yaml", "model: m\nmessages: [{role: user, content: see tone.md}]\n")
        project.commit("more")
        edit(project, TONE, ("brief", "kind"))
        assert cli("diff", "--name-only").out.split() == ["deep", "escaped", "linked", "plain"]

    def test_a_partial_that_is_deleted_breaks_its_prompts(self, project: Repo, cli: Cli) -> None:
        (project.path / TONE).unlink()
        done = cli("diff", "--exit-code")
        assert done.code == 1
        assert done.out.startswith("plain changed; not a valid prompt after\n")
        assert "plain: prompts/plain.yaml:7:1: no partial `partials/tone.md`" in done.out
        assert "partials/tone.md removed: -2 words" in cli("diff", "--format", "markdown").out

    def test_a_yaml_schema_is_no_prompt_but_a_yaml_file_of_no_prompt_is_a_broken_one(
        self, project: Repo, cli: Cli
    ) -> None:
        project.write("prompts/schemas/queue.yaml", SCHEMA + "title: Queue\n")
        project.write("prompts/loose.yaml", "a: b\n")
        assert cli("diff", "--name-only").out.split() == ["loose", "plain"]

    def test_untracked_prompts_count_and_ignored_ones_do_not(self, project: Repo, cli: Cli) -> None:
        project.write(".gitignore", "prompts/scratch.yaml\nregistry.db*\n")
        project.write("prompts/scratch.yaml", GREET)
        project.write("prompts/fresh.yaml", GREET)
        assert cli("diff", "--name-only").out.split() == ["fresh"]

    def test_a_project_below_the_top_and_a_current_folder_within(
        self, project: Repo, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        project.write("services/a/promptops.yaml", "")
        project.write("services/a/prompts/greet.yaml", GREET)
        project.commit("service")
        edit(project, "services/a/prompts/greet.yaml", ("temperature: 0", "temperature: 1"))
        edit(project, "prompts/plain.yaml", ("route", "sort"))
        monkeypatch.chdir(project.path / "services/a/prompts")
        assert cli("diff", "--name-only").out.split() == ["greet"]
        assert "temperature: 0 -> 1" in cli("diff", "greet.yaml").out

    def test_a_bare_repository(self, project: Repo, cli: Cli, tmp_path: Path) -> None:
        edit(project, TONE, ("brief", "kind"))
        project.commit("tone")
        project.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
        bare = ["-C", str(tmp_path / "bare.git"), "diff"]
        assert cli(*bare, "HEAD~1..HEAD", "--name-only").out == "plain\n"
        assert "a bare repository is without the working tree" in cli(*bare).err
        assert "a bare repository is without the index" in cli(*bare, "--staged").err
        assert "neither a prompt nor a revision" in cli(*bare, "none").err


class TestWhatIsSaid:
    def test_metadata_only_leaves_the_digest_alone(self, greeting: Repo, cli: Cli) -> None:
        edit(
            greeting,
            "prompts/greet.yaml",
            ("owner: door", "owner: context"),
            ("description: Greet", "description: Meet"),
        )
        done = cli("diff", "greet", "--exit-code")
        assert done.code == 1
        assert done.out.startswith("greet changed: description, metadata\n")
        assert "  the digest is unchanged: nothing that reaches the model changed\n" in done.out

    def test_comments_alone(self, greeting: Repo, cli: Cli) -> None:
        edit(greeting, "prompts/greet.yaml", ("model:", "# pinned\nmodel:"))
        done = cli("diff", "greet")
        assert done.out.startswith("greet changed: comments or layout\n")
        assert "the digest is unchanged" in done.out

    def test_line_ends_alone_are_no_difference(self, greeting: Repo, cli: Cli) -> None:
        (greeting.path / "prompts/greet.yaml").write_bytes(GREET.replace("\n", "\r\n").encode())
        done = cli("diff", "--exit-code")
        assert (done.code, done.out, done.err) == (0, "", "nothing changed\n")

    def test_callers_are_warned(self, project: Repo, cli: Cli) -> None:
        edit(
            project,
            "prompts/plain.yaml",
            ("ticket: string", "ticket: {type: string, maxLength: 9}, team: string"),
        )
        done = cli("diff")
        assert done.out.startswith("plain changed: inputs (breaking for callers)\n")
        assert "`ticket`: maxLength: 9 added (breaking for callers)" in done.out
        assert "`team` added, required (breaking for callers)" in done.out
        assert json.loads(cli("diff", "--json").out)[0]["callers"] == "breaking"

    def test_a_nested_title_of_an_input_is_in_the_digest_and_so_it_is_told(
        self, project: Repo, cli: Cli
    ) -> None:
        edit(project, "prompts/plain.yaml", ("{ticket: string}", "{ticket: {items: {title: a}}}"))
        project.commit("items")
        edit(project, "prompts/plain.yaml", ("title: a", "title: b"))
        done = cli("diff")
        assert done.out.startswith("plain changed: inputs\n")
        assert "inputs           written in another way" in done.out

    def test_cases(self, project: Repo, cli: Cli) -> None:
        project.write("prompts/plain.cases.jsonl", '{"id": "three", "inputs": {"ticket": "x"}}\n' + CASES)
        assert "cases            2 -> 3 cases: 1 added" in cli("diff").out
        project.write("prompts/plain.cases.jsonl", CASES + "\n")
        assert "2 -> 2 cases: in another order or layout" in cli("diff").out
        project.write("prompts/plain.cases.jsonl", "{")
        assert "plain.cases.jsonl:1: not JSON" in cli("diff").out
        (project.path / "prompts/plain.cases.jsonl").unlink()
        assert "2 -> 0 cases: 2 removed" in cli("diff").out
        edit(project, "prompts/plain.yaml", ("cases: plain.cases.jsonl\n", "checks: [json_schema]\n"))
        assert cli("diff").out.startswith("plain changed: checks, cases\n")

    def test_the_static_start_and_the_cost(self, project: Repo, cli: Cli) -> None:
        edit(project, "prompts/plain.yaml", ("      You route", "      {{ ticket }} You route"))
        out = cli("diff").out
        assert "the static start that provider caches reuse is shorter: about 11 -> 0 tokens" in out
        edit(
            project,
            "prompts/plain.yaml",
            ("4o-mini-2024-07-18\n", "4o-2024-08-06\nparameters: {max_tokens: 1000}\n"),
        )
        out = cli("diff").out
        assert re.search(
            r"per call: input \$\S+ -> \$\S+, output at most of unknown price -> \$0.0100 \(est", out
        )
        assert re.search(r"prices of litellm \S+ of \d{4}-\d\d-\d\d\)", out)
        (estimate,) = [one["estimate"] for one in json.loads(cli("diff", "--json").out)]
        assert estimate["old"]["prefix_tokens"] == 11
        assert estimate["new"]["most_output_usd"] == pytest.approx(0.01)

    def test_a_template_that_cannot_be_rendered_has_no_estimate(self, project: Repo, cli: Cli) -> None:
        edit(project, "prompts/plain.yaml", ("{{ ticket }}", "{{ 1 / 0 }}"))
        done = cli("diff", "--json")
        assert json.loads(done.out)[0]["estimate"]["new"] is None
        assert "tokens" not in cli("diff").out


def test_nothing_heavy_is_loaded(greeting: Repo) -> None:
    edit(greeting, "prompts/greet.yaml", ("temperature: 0", "temperature: 1"))
    code = (
        "import sys; from promptops.cli.main import main; "
        "main(['diff', 'greet@HEAD', 'greet', '-i', 'name=x']);"
        "sys.exit(' '.join({'git', 'litellm', 'sqlite3', 'aiohttp', 'asyncio', 'rich'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert done.stderr.strip() == ""
    assert "temperature: 0 -> 1" in done.stdout


class TestForm:
    def test_unified(self, project: Repo, cli: Cli) -> None:
        edit(project, "prompts/plain.yaml", ("You route tickets.", "You sort tickets."))
        lines = cli("diff", "-u").out.splitlines()
        assert lines[-4:] == [
            "    @@ -1,2 +1,2 @@",
            "    -You route tickets.",
            "    +You sort tickets.",
            '     {% include "partials/tone.md" %}',
        ]
        edit(project, "prompts/plain.yaml", ("content: |", "content: |-"))
        assert cli("diff", "-u").out.splitlines()[-1] == "    \\ no line break at the end"

    def test_stat_and_name_only(self, project: Repo, cli: Cli) -> None:
        edit(project, TONE, ("brief", "kind and short"))
        assert cli("diff", "--stat").out.splitlines() == [
            "PROMPT  CHANGE             WORDS",
            "plain   changed: partials  +4 -2",
        ]
        assert cli("diff", "--name-only").out == "plain\n"
        project.git("checkout", "-q", ".")
        assert cli("diff", "--stat").out == cli("diff", "--name-only").out == ""
        assert json.loads(cli("diff", "--json").out) == []
        assert cli("diff", "--format", "markdown").out == "<!-- promptops diff -->\nNo prompt changed.\n"

    def test_json(self, project: Repo, cli: Cli) -> None:
        edit(project, "prompts/plain.yaml", ("You route", "You sort"))
        done = cli("diff", "--format", "json")
        assert done.out == cli("diff", "--json").out
        (one,) = json.loads(done.out)
        assert (one["prompt"], one["status"], one["kinds"]) == ("plain", "changed", ["messages"])
        assert one["old"]["reference"].startswith("plain@")
        assert one["new"]["path"] == "plain.yaml"
        assert not one["same_digest"]
        (text,) = one["changes"][0]["texts"]
        assert text["segments"] == [
            ["=", "You "],
            ["-", "route"],
            ["+", "sort"],
            ["=", ' tickets.\n{% include "partials/tone.md" %}\n'],
        ]
        assert (text["words_added"], text["words_removed"]) == (1, 1)
        (project.path / "prompts/plain.yaml").unlink()
        assert json.loads(cli("diff", "--json").out)[0]["new"] is None

    def test_markdown_lets_no_text_of_a_prompt_become_markup(self, project: Repo, cli: Cli) -> None:
        evil = "````\n</details><script>x</script> @everyone `tick` \u202e"
        edit(
            project,
            "prompts/plain.yaml",
            ("You route", "You\n      " + evil.replace("\n", "\n      ") + " route"),
        )
        edit(project, "prompts/plain.yaml", ("cases: plain", 'metadata: {"a`b": "`` <b>@x"}\ncases: plain'))
        out = cli("diff", "--format", "markdown").out
        assert out.startswith(
            "<!-- promptops diff -->\n**1 prompt changed**\n\n#### `plain` changed: messages, metadata\n"
        )
        assert "\n`````text\n" in out
        assert out.count("\n`````\n") == 1
        inside = out.partition("\n`````text\n")[2].partition("\n`````\n")[0]
        outside = out.replace(inside, "")
        assert "<script>" in inside
        assert "<script>" not in outside
        assert "everyone" not in outside
        assert "\u202e" not in out
        assert "- metadata: ```a`b: `` <b>@x added```" in out
        assert "\n```diff\n" not in out
        assert "\n`````diff\n@@" in cli("diff", "--format", "markdown", "-u").out
        assert "<details>" not in cli("diff", "--format", "markdown", "--stat").out

    @pytest.mark.slow
    def test_markdown_says_what_breaks_callers_and_fits_a_comment(self, project: Repo, cli: Cli) -> None:
        for number in range(30):
            content = "\n      ".join(f"{number} line {n} of a long text" for n in range(200))
            project.write(f"prompts/p{number:02}.yaml", PLAIN.replace("You route tickets.", content))
        project.commit("many")
        for number in range(30):
            edit(
                project,
                f"prompts/p{number:02}.yaml",
                ("a long text", "a text"),
                ("ticket: string", "t: string"),
            )
        out = cli("diff", "--format", "markdown").out
        assert len(out) < 65_536
        assert out.startswith("<!-- promptops diff -->\n**30 prompts changed**")
        assert out.count("> **Breaking for callers.**") == 30
        assert out.count("_Too long to show here: see `promptops diff`._") > 5

    def test_colour_on_a_terminal_alone(self, project: Repo) -> None:
        edit(project, "prompts/plain.yaml", ("You route", "You \\u001b sort"))
        edit(project, "prompts/plain.yaml", ("content: |", 'content: "You \\u001b[2J sort tickets."'))
        text = (project.path / "prompts/plain.yaml").read_text().split("      You", 1)
        project.write(
            "prompts/plain.yaml", text[0] + "  - role: user\n" + text[1].split("  - role: user\n")[1]
        )
        shown = in_terminal("diff", "plain")
        assert "\x1b[1mplain\x1b[0m" in shown
        assert "\x1b[32m" in shown
        assert "\\x1b[2J" in shown
        assert "{+" not in shown
        plain = in_terminal("diff", "plain", NO_COLOR="1")
        assert "\x1b" not in plain
        assert "{+" in plain


def in_terminal(*arguments: str, **environment: str) -> str:
    """What a command line prints on a terminal."""
    import pty

    def run() -> None:
        command = [sys.executable, "-m", "promptops", *arguments]
        os.execvpe(sys.executable, command, {**os.environ, "TERM": "xterm", **environment})  # noqa: S606 - the terminal's own process

    child, terminal = pty.fork()
    if child == 0:
        run()
    pieces = []
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(terminal)
    os.waitpid(child, 0)
    return b"".join(pieces).decode()


class TestRender:
    def test_on_inputs(self, project: Repo, cli: Cli) -> None:
        edit(project, TONE, ("brief", "kind"))
        out = cli("diff", "--render", "-i", "ticket=lost").out
        assert out.endswith("messages[0] system\n    You route tickets.\n    Be [-brief-]{+kind+}.\n")
        assert "on these inputs" not in out
        edit(project, TONE, ("kind", "kind, and short, in all that you say"))
        assert re.search("about .. -> .. input tokens on these inputs", cli("diff", "-i", "ticket=a").out)

    def test_inputs_that_one_side_does_not_take(self, project: Repo, cli: Cli) -> None:
        edit(
            project,
            "prompts/plain.yaml",
            ("ticket: string", "mail: string, n: {type: integer, default: 1}"),
            ("{{ ticket", "{{ mail"),
        )
        out = cli("diff", "-i", "ticket=a", "-i", "mail=a", "-i", "n=2").out
        assert "  before: there is no input `mail`, so it is left out\n" in out
        assert "  after: there is no input `ticket`, so it is left out\n" in out
        out = cli("diff", "-i", "ticket=a").out
        assert "  after: the input `mail` is missing\n" in out
        assert "neither version has an input `x`" in cli("diff", "-i", "x=1").err
        (one,) = json.loads(cli("diff", "-i", "ticket=a", "--json").out)
        (rendered,) = one["rendered"]
        assert rendered["input_tokens"]["new"] is None
        assert rendered["notes"][-1] == "after: the input `mail` is missing"

    def test_on_the_golden_set(self, project: Repo, cli: Cli) -> None:
        edit(
            project,
            "prompts/plain.yaml",
            ('"{{ ticket }}"', "\"{% if ticket == 'lost' %}!{% endif %}{{ ticket }}\""),
        )
        out = cli("diff", "--cases").out
        assert "1 of 2 cases render differently or not at all" in out
        assert "rendered one\n" in out
        assert "rendered two\n" not in out
        shown = cli("diff", "--cases", "--format", "markdown").out
        assert "Rendered: 1 of 2 differ." in shown
        assert "<details><summary><code>rendered one</code></summary>" in shown
        edit(project, "prompts/other.yaml", ("hello", "bye"))
        done = cli("diff", "--cases")
        assert "other has no golden set" in done.err
        assert "inputs belong to one prompt" in cli("diff", "-i", "ticket=a").err

    def test_many_cases(self, project: Repo, cli: Cli) -> None:
        lines = [json.dumps({"inputs": {"ticket": str(number)}}) for number in range(14)]
        project.write("prompts/plain.cases.jsonl", "\n".join(lines))
        project.commit("cases")
        edit(project, TONE, ("brief", "kind"))
        out = cli("diff", "--cases").out
        assert "14 of 14 cases render differently" in out
        assert out.endswith("4 more: --json has them all\n")
        (one,) = json.loads(cli("diff", "--cases", "--json").out)
        assert len(one["rendered"]) == 14

    def test_nothing_that_is_rendered_changed(self, project: Repo, cli: Cli) -> None:
        edit(project, "prompts/plain.yaml", ("model: ", "model: x"))
        assert cli("diff", "-i", "ticket=a").out.endswith("\nrendered: the same messages\n")
        assert "Rendered: 0 of 1 differ." in cli("diff", "-i", "ticket=a", "--format", "markdown").out

    def test_images(self, project: Repo, cli: Cli) -> None:
        head = "model: m\ninputs: {p: image, q: {type: messages}}\nmessages:\n  - {insert: q}\n"
        text = head + "  - role: user\n    content: [{text: see}, {image: p}]\n"
        project.write("prompts/look.yaml", text)
        project.commit("look")
        edit(project, "prompts/look.yaml", ("text: see", "text: look"))
        (project.path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(16))
        out = cli("diff", "look", "-i", "p=@a.png", "-i", 'q=[{"role": "user", "content": "hi"}]').out
        assert "    [-see-]{+look+}\n    [image/png, 24 bytes]\n" in out

    def test_a_deleted_prompt_and_a_broken_one(self, project: Repo, cli: Cli) -> None:
        (project.path / "prompts/plain.yaml").unlink()
        assert cli("diff", "plain", "--cases").code == 0
        project.write("prompts/plain.yaml", "model: [")
        assert cli("diff", "plain", "--cases").code == 0
        project.write("prompts/broken.yaml", "model: [")
        assert cli("diff", "broken", "--render").code == 0


class TestBadInput:
    def test_not_a_repository(self, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        done = cli("diff")
        assert (done.code, done.out) == (4, "")
        assert "not inside a git repository" in done.err

    def test_half_written_yaml_shows_the_files_lines(self, project: Repo, cli: Cli) -> None:
        edit(project, "prompts/plain.yaml", ("{ticket: string}", "{ticket: string"))
        done = cli("diff", "plain")
        assert done.code == 0
        assert done.out.startswith("plain changed; not a valid prompt after\n")
        assert "plain: prompts/plain.yaml:3:9: not YAML" in done.out
        assert "so the text of the files is compared, not their meaning" in done.out
        assert "    inputs: {ticket: string[-}-]\n" in done.out
        assert cli("diff", "plain", "--exit-code").code == 1
        project.commit("broken")
        edit(project, "prompts/plain.yaml", ("You", "Do you"))
        assert "not a valid prompt before and after" in cli("diff", "--stat").out

    def test_merge_conflict(self, project: Repo, cli: Cli) -> None:
        project.git("checkout", "-q", "-b", "side")
        edit(project, "prompts/plain.yaml", ("You route", "You sort"))
        project.commit("side")
        project.git("checkout", "-q", "main")
        edit(project, "prompts/plain.yaml", ("You route", "You send"))
        project.commit("main")
        with pytest.raises(subprocess.CalledProcessError):
            project.git("merge", "-q", "side")
        done = cli("diff")
        assert done.code == 0
        assert "a merge conflict is left in the file" in done.out
        staged = cli("diff", "--staged")
        assert "has a merge conflict in the index" in staged.out

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (
                b"\x00\x01\x02" * 100,
                "plain.yaml: binary; its lines are not compared (270 bytes -> 300 bytes)",
            ),
            (
                b"x" * 10_000_000,
                "plain.yaml: a large file; its lines are not compared (270 bytes -> 10,000,000 bytes)",
            ),
        ],
    )
    def test_binary_and_large_files(self, data: bytes, reason: str, project: Repo, cli: Cli) -> None:
        (project.path / "prompts/plain.yaml").write_bytes(data)
        project.commit("odd")
        for words in (["plain@HEAD~1..HEAD"], ["HEAD~1..HEAD"], ["plain@HEAD~1"]):
            done = cli("diff", *words)
            assert done.code == 0
            assert re.sub(r"\(\d+ bytes", "(270 bytes", reason) in re.sub(
                r"\(\d+ bytes", "(270 bytes", done.out
            )
            assert len(done.out) < 1000

    def test_an_include_cycle(self, project: Repo, cli: Cli) -> None:
        project.write(TONE, '{% include "partials/tone.md" %}')
        done = cli("diff")
        assert "include cycle: partials/tone.md -> partials/tone.md" in done.out
        assert "partials/tone.md: +1 -2 words" in cli("diff", "--format", "markdown").out

    def test_a_link_that_leaves_prompts(self, project: Repo, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "out.yaml").write_text(GREET)
        (project.path / "prompts/plain.yaml").unlink()
        (project.path / "prompts/plain.yaml").symlink_to(tmp_path / "out.yaml")
        assert "is a symbolic link that leaves prompts/" in cli("diff", "plain").out
        project.commit("link")
        done = cli("diff", "HEAD~1..HEAD")
        assert done.code == 0
        assert "is a symbolic link that leaves prompts/" in done.out
        assert cli("diff", "plain").err == "nothing changed\n"

    def test_a_submodule(self, project: Repo, cli: Cli, tmp_path: Path) -> None:
        inner = new_repository(tmp_path / "inner")
        inner.commit("1", {"greet.yaml": GREET})
        add = [
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "add",
            "-q",
            str(inner.path),
            "prompts/shared",
        ]
        project.git(*add)
        project.commit("submodule")
        done = cli("diff", "HEAD~1..HEAD")
        assert (done.code, done.out) == (0, "")
        assert "prompts/shared is a submodule: the prompts in it are not compared" in done.err
        done = cli("diff", "shared/greet")
        assert done.code == 0
        assert "prompts/shared is a submodule" in done.out

    def test_a_shallow_clone(self, project: Repo, cli: Cli, tmp_path: Path) -> None:
        edit(project, TONE, ("brief", "kind"))
        project.commit("two")
        project.git("clone", "-q", "--depth", "1", f"file://{project.path}", str(tmp_path / "shallow"))
        for words in (["HEAD~1..HEAD"], ["plain@HEAD~1", "plain@HEAD"]):
            done = cli("-C", str(tmp_path / "shallow"), "diff", *words)
            assert done.code == 4
            assert "no revision `HEAD~1`" in done.err
            assert "git fetch --unshallow" in done.err

    def test_an_object_that_is_missing_is_an_error_and_no_deletion(self, project: Repo, cli: Cli) -> None:
        oid = project.git("rev-parse", f"HEAD:{TONE}")
        edit(project, "prompts/plain.yaml", ("You route", "You sort"))
        project.commit("two")
        edit(project, TONE, ("brief", "kind"))
        file = project.path / ".git/objects" / oid[:2] / oid[2:]
        file.chmod(0o600)
        file.unlink()
        done = cli("diff", "HEAD~1..HEAD")
        assert done.code == 4
        assert "missing from this repository" in done.err
        project.write("prompts/plain.yaml", PLAIN)
        oid = project.git("rev-parse", "HEAD:prompts/plain.cases.jsonl")
        project.write(TONE, "Be brief.\n")
        project.git("add", "-A")
        file = project.path / ".git/objects" / oid[:2] / oid[2:]
        file.unlink()
        assert cli("diff", "plain@HEAD..HEAD").code == 4

    def test_two_files_of_one_name(self, project: Repo, cli: Cli) -> None:
        project.write("prompts/plain.yml", PLAIN)
        done = cli("diff")
        assert done.code == 0
        assert "the prompt `plain` has two files, .yaml and .yml" in done.out
        (project.path / "prompts/plain.yaml").unlink()
        assert cli("diff").out.startswith("plain changed: comments or layout\n")


class TestGitsOwnDiff:
    @pytest.mark.slow
    def test_textconv(self, project: Repo) -> None:
        project.git("config", "diff.promptops.textconv", f"{sys.executable} -m promptops diff --textconv")
        project.write(".gitattributes", "prompts/**/*.yaml diff=promptops\n")
        project.commit("attributes")
        edit(project, "prompts/plain.yaml", ("2024-07-18", "2024-08-06"), ("route tickets", "sort tickets"))
        edit(project, "prompts/plain.yaml", ("{ticket: string}", "\n  ticket: string"))
        lines = [line for line in project.git("diff", "-U0").splitlines() if line[:1] in "+-"][2:]
        assert lines == [
            "-model: openai/gpt-4o-mini-2024-07-18",
            "+model: openai/gpt-4o-mini-2024-08-06",
            "-You route tickets.",
            "+You sort tickets.",
        ]
        project.commit("sort")
        project.write("prompts/plain.yaml", "model: [\n")
        project.commit("broken")
        shown = project.git("log", "-p", "--format=%s")
        assert "+You sort tickets." in shown
        assert "+model: [" in shown
        assert "+── user |-" in shown


class TestRealHistories:
    @pytest.mark.no_cover
    @pytest.mark.parametrize(
        "bundle",
        [
            "prompthub",
            "smolagents-prompts",
            *(
                pytest.param(long, marks=pytest.mark.thorough)
                for long in ("swe-agent-config", "prompty-files")
            ),
        ],
    )
    @pytest.mark.slow
    def test_the_commits_that_change_a_text_are_those_that_git_names(
        self, bundle: str, shared: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "copy"
        versions = as_prompts(
            shared / f"data/prompt-histories/{bundle}.bundle", tmp_path / "original", folder
        )
        monkeypatch.chdir(folder)
        from promptops.config.settings import current_settings
        from promptops.git.repo import GitRepo
        from promptops.versions.change_summary import summarize_change
        from promptops.versions.changed_prompts import find_changed_prompts
        from promptops.versions.snapshots import SnapshotSource

        found: set[tuple[int, str]] = set()
        with GitRepo(current_settings()) as repo:
            commits = [f"main~{len(versions) - 1 - number}" for number in range(len(versions))]
            shas = [repo.resolve_commit(commit) for commit in commits]
            for number, (old, new) in enumerate(pairwise(shas), 1):
                for pair in find_changed_prompts(
                    repo, SnapshotSource("old", old), SnapshotSource("new", new)
                ).pairs:
                    told = summarize_change(pair)
                    if pair.status == "renamed":
                        found |= {(number, pair.old.name), (number, pair.new.name)}
                    elif pair.status != "changed" or told.files or told.changes[0].kind == "messages":
                        found.add((number, pair.name))
        assert found == {
            (number, name) for number, changed in enumerate(versions) if number for name in changed
        }


def as_prompts(bundle: Path, original: Path, folder: Path) -> list[set[str]]:
    """Replay a history as one of prompt files that hold each text; the names that each commit changes."""
    subprocess.run(["git", "clone", "-q", str(bundle), str(original)], check=True, capture_output=True)
    log = ["log", "--first-parent", "--reverse", "--diff-merges=first-parent", "--raw", "-z", "--root"]
    tokens = iter(_git(original, *log, "--no-renames", "--no-abbrev", "--format=%H").decode().split("\0"))
    commits: list[list[tuple[str, str]]] = []
    for token in tokens:
        text = token.lstrip("\n")
        if text.startswith(":"):
            commits[-1].append((text.split(" ")[3], next(tokens)))
        elif text:
            commits.append([])
    texts = _texts(original, sorted({oid for changes in commits for oid, _ in changes if set(oid) != {"0"}}))
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    names: dict[str, str] = {}
    stream = []
    versions = []
    for changes in commits:
        stream.append(b"commit refs/heads/main\ncommitter A <a@example.org> 1700000000 +0000\ndata 1\nx\n")
        versions.append({names.setdefault(path, f"p{len(names)}") for _, path in changes})
        for oid, path in changes:
            if oid not in texts:
                stream.append(b"D prompts/%s.yaml\n" % names[path].encode())
                continue
            messages = [{"role": "user", "content": "{% raw %}" + texts[oid] + "{% endraw %}"}]
            data = json.dumps({"model": "m", "messages": messages}).encode()
            stream.append(
                b"M 100644 inline prompts/%s.yaml\ndata %d\n%s\n" % (names[path].encode(), len(data), data)
            )
    load = ["git", "-C", str(folder), "fast-import", "--quiet"]
    subprocess.run(load, input=b"".join(stream), check=True)
    return versions


def _texts(original: Path, oids: list[str]) -> dict[str, str]:
    said = subprocess.run(
        ["git", "-C", str(original), "cat-file", "--batch"],
        input="".join(f"{oid}\n" for oid in oids).encode(),
        check=True,
        capture_output=True,
    ).stdout
    found, at = {}, 0
    for oid in oids:
        header, _, _ = said[at:].partition(b"\n")
        size = int(header.split()[2])
        start = at + len(header) + 1
        found[oid] = said[start : start + size].decode("utf-8", "replace").replace("{% endraw %}", "")
        at = start + size + 1
    return found


def _git(folder: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True).stdout
