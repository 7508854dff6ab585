"""Files of other tools that have everything an importer reads."""

PROMPTY_1 = """\
---
name: Basic Prompt
description: Answers.
authors: [Ada]
tags: [x]
version: "1.0"
model:
  api: completion
  configuration:
    type: azure_openai
    azure_endpoint: ${env:AZURE_OPENAI_ENDPOINT}
    azure_deployment: gpt-4o
    api_key: sk-secret
  parameters:
    max_tokens: 3000
    stream: true
    tools:
      - type: function
        function: {name: find}
      - {name: nothing}
  response: first
sample:
  firstName: Jane
  count: 3
  chat_history: [{role: user, content: Hi}]
inputs:
  question: {type: string, is_required: true}
outputs:
  answer: {type: string}
  score: {type: number, enumValues: [1, 2]}
template: {type: jinja2, parser: prompty, more: 1}
other: 1
base: base.prompty
---

# system:
  You help {{firstName}}{{count}}.

{% for item in chat_history %}
{{item.role}}:
{{item["content"]}}
{% endfor %}

User:

{{ question }} {% if unknown %}x{% endif %}
"""

PROMPTY_2 = """\
---
name: second
displayName: Second
metadata: {owner: ada}
model:
  id: gpt-4o-2024-08-06
  provider: openai
  apiType: responses
  connection: {kind: key, apiKey: sk-x, endpoint: "${env:E:https://x}"}
  options:
    temperature: 0
    topP: 0.5
    strange: 1
    additionalProperties: {logprobs: true, stream: true}
  another: 1
inputs:
  - {name: a, kind: string, required: true, description: A}
  - {name: b, kind: integer, default: 3}
  - {name: c, kind: boolean}
  - {name: d, kind: array, items: {kind: string}}
  - {name: e, kind: object, properties: [{name: x, kind: float, required: true}]}
  - {name: f, kind: string, enumValues: [p, q]}
  - {name: g, kind: float, nullable: true}
  - {name: h, kind: string}
  - {name: i, kind: string, strict: true}
  - {name: j, kind: union, anyOf: [{kind: string}, {kind: integer}]}
  - {name: k, kind: image}
  - {name: l, kind: thread}
outputs:
  - {name: city, kind: string, required: true}
  - {name: more, kind: object, properties: [{name: y, kind: array, items: {kind: integer}}]}
  - {name: maybe, kind: union, anyOf: [{kind: string}]}
  - {name: mood, kind: string, enumValues: [good]}
tools:
  - name: find
    kind: function
    description: Finds.
    parameters: {properties: [{name: q, kind: string, required: true}, {name: user, kind: string}]}
    bindings: [{name: user, input: a}]
    returns: x
  - {name: files, kind: mcp, connection: {kind: key, apiKey: sk-y}}
  - nothing
template: {format: {kind: jinja2, strict: true, options: {x: 1}}, parser: {kind: prompty}}
---
developer[name="Bo", tone="x"]:
{{a}} {{b}}{% if c %}!{% endif %}{% for each in d %}{{each}}{% endfor %}{{ e.x }}
{{f}}{{g}}{{h | default("none")}}{{ i is defined }}{{j}}

user:
Look:

{{k}}

assistant:

{{l}}
"""

DOTPROMPT = """\
# Copyright, of somebody

---
name: greeting
model: googleai/gemini-2.5-flash
description: Greets a guest.
config:
  temperature: 0.7
  topK: 20
  maxOutputTokens: 100
  safetySettings: [none]
  apiKey: sk-secret
input:
  default: {name: Guest, extra: 1}
  schema:
    name: string
    language?: string, of the greeting
    tags(array, what they like): string
    level?: integer
    known?: boolean
    friends?(array): string
output:
  format: json
  schema:
    greeting: string
tools: [timeOfDay]
toolDefs:
  - {name: weather, description: Of a city, inputSchema: {city: string}, outputSchema: {sky: string}}
  - nonsense
metadata: {owner: ada}
acme.owner: me
---

{{role "system"}}
You greet. {{> tone}}{{#if level}} Level {{level}}.{{/if}}
{{history}}
{{role "user"}}{{name}}:{{#each tags}} {{this}}{{/each}}
{{role "model"}}Hello{{#if known}} again{{/if}}.
{{role "user"}}{{> ask what="more"}}
"""
