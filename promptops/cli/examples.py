"""Examples of every verb, shown at the end of its help. Loaded for ``--help`` alone."""

from promptops.cli.verbs import VerbPath

EXAMPLES: dict[VerbPath, str] = {
    ("init",): """
promptops init
promptops init --ci github
promptops init --diff-driver""",
    ("new",): """
promptops new support/triage --model openai/gpt-5.4-mini-2026-03-17
promptops new summarize --description 'One sentence for the inbox.'""",
    ("import",): """
promptops import promptfooconfig.yaml
promptops import promptfoo evals/ --to imported --dry-run
promptops import promptfooconfig.yaml --strict""",
    ("export",): """
promptops export support/triage --format promptfoo --out foo.yaml
promptops export support/triage@v3 --format promptfoo""",
    ("list",): """
promptops list
promptops list refund
promptops list --json""",
    ("show",): """
promptops show support/triage
promptops show support/triage@HEAD~1
promptops show support/triage:production --json""",
    ("history",): """
promptops history support/triage
promptops history support/triage -n 5""",
    ("lint",): """
promptops lint
promptops lint support/triage --strict
promptops lint --staged --format github""",
    ("diff",): """
promptops diff support/triage
promptops diff main...HEAD --format markdown
promptops diff support/triage@v2 support/triage@HEAD --cases""",
    ("render",): """
promptops render support/triage -i ticket='Where is my parcel?'
promptops render support/triage@HEAD~1 --inputs inputs.json --json
promptops render support/triage --watch -i ticket=@mail.txt""",
    ("run",): """
promptops run support/triage -i ticket='Where is my parcel?'
promptops run support/triage:production --unit user-42 -i ticket=@mail.txt
promptops run -c 'And in French?'""",
    ("chat",): """
promptops chat support/triage -i ticket='Where is my parcel?'
promptops chat support/triage:production --unit user-42 --max-cost 0.50
promptops chat support/triage -c""",
    ("last",): """
promptops last
promptops last --id
promptops last -n 3 --json""",
    ("batch",): """
promptops batch support/triage@HEAD tickets.jsonl --out queues.jsonl
promptops batch support/triage:production tickets.jsonl --max-cost 5 -j 64
promptops batch greet@v3 in.jsonl --out out.jsonl --provider-batch --detach""",
    ("jobs", "list"): """
promptops jobs list
promptops jobs list --json""",
    ("jobs", "collect"): """
promptops jobs collect
promptops jobs collect 01K7Y3M9QX --wait""",
    ("jobs", "cancel"): """
promptops jobs cancel 01K7Y3M9QX
promptops jobs cancel 01K7Y3M9QX --yes""",
    ("serve",): """
promptops serve
promptops serve --port 8080 --retries 1 --timeout 30""",
    ("ui",): """
promptops ui
promptops ui --port 8080 --read-only""",
    ("keys", "new"): """
promptops keys new acme
promptops keys new ada@example.org --role approver
promptops keys new acme --allow 'support/*:production' --usd-per-day 5""",
    ("keys", "list"): """
promptops keys list
promptops keys list --json""",
    ("keys", "revoke"): """
promptops keys revoke 3f2c9e1b
promptops keys revoke 7b1d0a94""",
    ("runs", "list"): """
promptops runs list
promptops runs list support/triage@HEAD --error any --since 7d
promptops runs list --tag vip --json""",
    ("runs", "show"): """
promptops runs show last
promptops runs show 01K7Y3M9QX --messages""",
    ("runs", "search"): """
promptops runs search refund
promptops runs search '"charged twice"' --prompt support/triage --since 2w""",
    ("runs", "replay"): """
promptops runs replay last
promptops runs replay 01K7Y3M9QX""",
    ("review", "start"): """
promptops review start support/triage:production
promptops review start support/triage --sample 50 --since 7d
promptops review start support/triage --failed""",
    ("review", "status"): """
promptops review status
promptops review status support/triage --json""",
    ("review", "codes"): """
promptops review codes support/triage
promptops review codes support/triage --merge 'wrong team=wrong-team'""",
    ("review", "check"): """
promptops review check support/triage --code wrong-team
promptops review check support/triage --code wrong-team --write""",
    ("review", "cases"): """
promptops review cases support/triage
promptops review cases support/triage --code wrong-team""",
    ("runs", "stats"): """
promptops runs stats
promptops runs stats support/triage --by version --since 30d""",
    ("runs", "report"): """
promptops runs report support/triage --format html --out report.html
promptops runs report --format prometheus --out promptops.prom""",
    ("runs", "export"): """
promptops runs export support/triage --since 7d --out runs.jsonl
promptops runs export greet --format trl-sft --passed --out train.jsonl
promptops runs export --for-release --since-last --out host-1.jsonl""",
    ("runs", "import"): """
promptops runs import exports/*.jsonl
promptops runs import host-1.jsonl --json""",
    ("runs", "finish"): """
promptops runs finish 01K7Y3M9QX --from reply.json
promptops runs finish last --from - < reply.json""",
    ("eval",): """
promptops eval support/triage
promptops eval support/triage --against support/triage@HEAD --trials 3
promptops eval support/triage --against support/triage:production \\
    --no-worse-than 0.03""",
    ("bisect",): """
promptops bisect support/triage --good v3 --bad HEAD
promptops bisect support/triage --good HEAD~20 --bad HEAD --max-cost 2""",
    ("cases", "add"): """
promptops cases add support/triage --run last --approve
promptops cases add support/triage --run 01K7Y3M9QX --expected billing
promptops cases add support/triage --from tickets.csv --dry-run""",
    ("cases", "list"): """
promptops cases list support/triage
promptops cases list support/triage --tag vip""",
    ("cases", "validate"): """
promptops cases validate support/triage
promptops cases validate support/triage --json""",
    ("cases", "stats"): """
promptops cases stats support/triage
promptops cases stats support/triage --json""",
    ("checks", "suggest"): """
promptops checks suggest support/triage
promptops checks suggest support/triage --write""",
    ("judge", "calibrate"): """
promptops judge calibrate judges/tone --reviewed support/triage
promptops judge calibrate judges/tone --labels labels.jsonl
promptops judge calibrate judges/tone --labels labels.jsonl --json""",
    ("judge", "score"): """
promptops judge score support/triage:production
promptops judge score support/triage --judge judges/tone --sample 0.1""",
    ("monitor", "notify"): """
promptops monitor notify
promptops monitor notify --retry --json""",
    ("monitor", "check"): """
promptops monitor check support/triage:production
promptops monitor check --all --exit-code --format github
promptops monitor check support/triage:production --acknowledge""",
    ("monitor", "inputs"): """
promptops monitor inputs support/triage
promptops monitor inputs support/triage --since 7d --add""",
    ("feedback",): """
promptops feedback last up
promptops feedback 01K7Y3M9QX down --comment 'wrong queue'
promptops feedback --from outcomes.jsonl""",
    ("shadow", "run"): """
promptops shadow run support/triage
promptops shadow run support/triage@HEAD --against support/triage:production
promptops shadow run support/triage --no-worse-than 0.03 --max-cost 2""",
    ("shadow", "migrate"): """
promptops shadow migrate --model openai/gpt-5.2=openai/gpt-5.4-mini
promptops shadow migrate 'support/*' --model openai/gpt-5.4=openai/gpt-5.5""",
    ("shadow", "noise"): """
promptops shadow noise support/triage
promptops shadow noise support/triage:production --last 50""",
    ("shadow", "status"): """
promptops shadow status
promptops shadow status --json""",
    ("shadow", "show"): """
promptops shadow show support/triage
promptops shadow show support/triage --format html --out report.html""",
    ("shadow", "list"): """
promptops shadow list
promptops shadow list --json""",
    ("shadow", "on"): """
promptops shadow on support/triage:production --version HEAD --sample 0.1 \\
    --max-usd 2
promptops shadow on support/triage --version v4 --sample 1 --max-usd 1""",
    ("shadow", "off"): """
promptops shadow off support/triage:production
promptops shadow off support/triage""",
    ("shadow", "drain"): """
promptops shadow drain
promptops shadow drain --wait""",
    ("canary",): """
promptops canary support/triage@HEAD
promptops canary support/triage@HEAD --plan quick --yes
promptops canary support/triage@HEAD --to staging""",
    ("promote",): """
promptops promote support/triage
promptops promote support/triage@HEAD --to staging --yes""",
    ("rollback",): """
promptops rollback support/triage
promptops rollback support/triage:production --reason 'wrong language'""",
    ("status",): """
promptops status
promptops status support/triage:production
promptops status --format html > status.html""",
    ("tick",): """
promptops tick support/triage
promptops tick --all""",
    ("release", "wait"): """
promptops release wait support/triage
promptops release wait support/triage --timeout 2h""",
    ("release", "approve"): """
promptops release approve support/triage
promptops release approve support/triage --reason 'read 30 answers'""",
    ("release", "pause"): """
promptops release pause support/triage
promptops release pause support/triage --reason 'the provider is slow'""",
    ("release", "resume"): """
promptops release resume support/triage
promptops release resume support/triage --reason 'the log is complete'""",
    ("release", "abort"): """
promptops release abort support/triage
promptops release abort support/triage --reason 'a better one is ready'""",
    ("release", "gate"): """
promptops release gate support/triage --yes
promptops release gate support/triage:production --max-cost 5 --yes""",
    ("release", "forecast"): """
promptops release forecast support/triage@HEAD
promptops release forecast support/triage@HEAD --plan quick""",
    ("release", "log"): """
promptops release log
promptops release log support/triage:production -n 5""",
    ("release", "show"): """
promptops release show support/triage
promptops release show support/triage:production --at 2026-11-02""",
    ("release", "verify"): """
promptops release verify
promptops release verify support/triage:production --json""",
    ("release", "sync"): """
promptops release sync
promptops release sync --discard""",
    ("release", "bundle"): """
promptops release bundle --out prompts.bundle
promptops release bundle --out prompts.bundle --json""",
    ("release", "recover"): """
promptops release recover
promptops release recover --local""",
    ("release", "init"): """
promptops release init
promptops release init --codeowners @acme/releases""",
    ("registry", "prune"): """
promptops registry prune --older-than 90d --dry-run
promptops registry prune --max-size 2GB""",
    ("registry", "erase"): """
promptops registry erase --unit user-42 --dry-run
promptops registry erase --tenant acme --yes""",
    ("registry", "copy"): """
promptops registry copy registry.db postgresql://db.example.org/promptops
promptops registry copy postgresql://db.example.org/promptops copy.db""",
    ("registry", "recover"): """
promptops registry recover
promptops registry recover --swap""",
    ("hooks", "install"): """
promptops hooks install
promptops hooks install --summary-trailers""",
    ("hooks", "status"): """
promptops hooks status
promptops hooks status --json""",
    ("hooks", "uninstall"): """
promptops hooks uninstall
promptops hooks uninstall && promptops hooks status""",
    ("hooks", "run"): """
promptops hooks run lint
promptops hooks run pre-commit --strict""",
    ("cache", "stats"): """
promptops cache stats
promptops cache stats 'support/*' --json""",
    ("cache", "clear"): """
promptops cache clear support/triage
promptops cache clear --model openai/gpt-5.4-mini-2026-03-17 --older-than 9d""",
    ("doctor",): """
promptops doctor
promptops doctor --reach openai/gpt-5.4-mini-2026-03-17""",
    ("schema",): """
promptops schema > prompt.schema.json
promptops schema settings""",
    ("completions",): """
eval "$(promptops completions bash)"
promptops completions fish > ~/.config/fish/completions/promptops.fish""",
}


def examples_of(path: VerbPath) -> str:
    """The end of a verb's help; the mark before it keeps its lines as they are."""
    lines = EXAMPLES[path].strip().splitlines()
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
