"""Phrases of known attacks on prompts in English, as patterns over lower case with single spaces."""

from collections.abc import Sequence

from promptops.checks.injection_patterns import NEXT, any_of, rule, up_to

_IGNORE = any_of(
    "ignore, ignoring, disregard, disregarding, forget, forgetting, override, overriding, overwrite, "
    "bypass, bypassing, neglect, discard, skip, do not follow, don'?t follow, stop following, "
    "no longer follow, do not obey, don'?t obey, stop obeying, don'?t listen to, do not listen to"
)
_EARLIER = any_of(
    "previous, previously, prior, preceding, above, earlier, foregoing, former, initial, original, "
    "existing, system, old, past, given, before, current, your, safety, security, all, any, every, "
    "these, those, developer"
)
_ORDERS = any_of(
    "instructions?, prompts?, directions?, directives?, guidelines?, rules?, orders?, commands?, "
    "guidance, restrictions?, constraints?, programming, policies, policy, protocols?, measures, "
    "assignments?, tasks?, training, guardrails?, filters?, context"
)
_TELL_VERBS = (
    "repeat, print, show, reveal, output, display, tell, give, write, share, disclose, provide, expose, "
    "leak, dump, list, return, recite, quote, copy, paste, translate, encode, encrypt, convert, "
    "summari[sz]e, paraphrase, spell, reproduce, echo, cite, expand, read, describe, explain, state, "
    "send, type, start, begin, continue, complete, finish, format, put, render, what, which, rewrite, "
    "say"
)
_TELL = any_of(_TELL_VERBS)
_GIVEN = any_of("prompts?, instructions?, messages?, directives?, guidelines?, configuration, rules")
_SYSTEM = (
    r"(?:system|initial|original|hidden|secret|starting|internal|base|developer|first|pre)[ -]?(?:system )?"
    rf"{_GIVEN}"
    r"|(?:your|the|these|those) (?:exact |full |entire |complete |own |very |custom |core |current )?"
    r"(?:prompt|instructions|directives|guidelines|programming|configuration)(?! (?:for|on|of|to|in) )"
    r"|instructions (?:(?:that )?you (?:were|have been|are) (?:given|told)|above|before this)"
    r"|(?:everything|anything|all(?: of)?(?: the)? (?:text|words|sentences|content)"
    r"|the (?:text|words|content|sentences|lines)) (?:above|before)"
    r"|what (?:you were|were you) (?:told|instructed|given)"
)
_TELL_WORDS = " ".join(_TELL_VERBS.replace("[sz]", "s").replace(",", "").split()) + " summarize"
_SYSTEM_WORDS = (
    "prompt prompts instruction instructions message messages directive directives guideline guidelines "
    "configuration rules programming above before told instructed given"
)
_LATER = " (?:above|before|previous(?:ly)?|earlier|prior|told|know|said|training)"
_MESSAGES = any_of("message, mail, email, e-mail, ticket, order, line, comment, question, request, draft")
_LIMITS = any_of(
    "restrictions, limitations, filters?, rules, guidelines, morals?, ethics, boundaries, "
    "constraints, censorship"
)
_MACHINES = any_of(
    "ai, chatbot, bot, assistant, model, language, character, persona, response, answer, machine, "
    "version, access"
)

ENGLISH_RULES = (
    rule(
        "override",
        (
            (
                "ignore ignoring disregard disregarding forget forgetting override overriding overwrite "
                "bypass bypassing neglect discard skip follow following obey obeying listen"
            ),
            (
                "instruction instructions prompt prompts direction directions directive directives "
                "guideline guidelines rule rules order orders command commands guidance restriction "
                "restrictions constraint constraints programming policies policy protocol protocols "
                "measures assignment assignments task tasks training guardrail guardrails filter "
                "filters context"
            ),
        ),
        rf"\b{_IGNORE}\b{NEXT}{up_to(4)}\b{_EARLIER}{NEXT}{up_to(3)}\b{_ORDERS}\b",
    ),
    rule(
        "override",
        (
            "ignore disregard forget",
            ("above before previous previously earlier prior told know said training preceding foregoing"),
        ),
        r"\b(?:ignore|disregard|forget) (?:about )?(?:everything|anything|all|what|whatever"
        r"|all of)(?: that| of)?"
        r"(?: was| is| has been| you| i| were| have| been| said| told| learned| know| written"
        r"| stated| mentioned"
        rf"| the| text| us){{0,5}}{_LATER}\b",
        r"\b(?:ignore|disregard|forget) the (?:above|previous|preceding|foregoing)\b"
        rf"(?! {_MESSAGES}\b)",
    ),
    rule(
        "override",
        (
            "new real actual updated revised only have has been changed",
            (
                "instruction instructions task tasks rule rules directive directives prompt prompts "
                "goal objective role purpose job name persona identity"
            ),
        ),
        r"\b(?:new|updated|revised|real|actual) (?:system )?(?:instructions?|directives?|prompts?"
        r"|rules?|tasks?)"
        r"(?: (?:is|are|have|follow|begin|start|for you)\b|\s?[:\-])",
        r"\byour (?:new|real|actual|only) "
        + any_of(
            "instructions?, task, goal, objective, role, purpose, job, directive, rules?, name, "
            "persona, identity"
        )
        + r"\b",
        r"\b(?:instructions?|rules) (?:have been|has been|are) "
        r"(?:changed|updated|replaced|overridden|superseded|cancell?ed)\b",
    ),
    rule(
        "extraction",
        (_TELL_WORDS, _SYSTEM_WORDS),
        rf"\b{_TELL}\b{NEXT}{up_to(7)}(?:{_SYSTEM})",
    ),
    rule(
        "extraction",
        (
            "password passphrase secret access",
            "reveal disclose leak expose give spell encode repeat print output decode reverse",
        ),
        rf"\b(?:reveal|disclose|leak|expose|give away|spell|encode|repeat|print|output|decode"
        rf"|reverse)\b{NEXT}"
        rf"{up_to(6)}\b(?:password|passphrase|secret (?:key|word|code|phrase)|access code)\b",
    ),
    rule(
        "persona",
        ("anything jailbreak jailbroken mode character",),
        r"\bdo anything now\b|\bjailbr(?:eak|oken)|\bstay in character\b",
        r"\b(?:developer|dan|god|jailbreak|opposite|sudo|root|maintenance|debug|admin|unrestricted) mode\b",
    ),
    rule(
        "persona",
        ("unfiltered uncensored unrestricted amoral",),
        rf"\b(?:unfiltered|uncensored|unrestricted|amoral)\b{NEXT}{up_to(4)}{_MACHINES}",
    ),
    rule(
        "persona",
        (
            "no without free",
            (
                "restrictions limitations filter filters rules guidelines moral morals ethics "
                "boundaries constraints censorship"
            ),
        ),
        rf"\b(?:you|ai|chatbot|bot|model|character|persona|has|have)\b{NEXT}{up_to(5)}"
        r"(?:no|without(?: any)?|free (?:of|from) (?:all|any)) (?:ethical |moral |legal )?"
        rf"(?:(?:or|and) (?:ethical|moral|legal) )?{_LIMITS}\b",
    ),
    rule(
        "persona",
        (
            "never",
            "refuse reject decline deny say",
        ),
        r"\b(?:you|must|will|can|should)\b (?:[^\W_]{1,20} ){0,2}?never (?:refuse|reject|decline"
        r"|say no|deny)\b",
    ),
    rule(
        "persona",
        ("now henceforth immerse act pretend play assume",),
        r"\b(?:from now on|henceforth),? (?:you|your|i want you|only|respond|answer|reply|act"
        r"|pretend|every)\b",
        r"\byou(?: are|'re) now (?:in |a |an |the |my |going to |free|no longer|acting|playing|dan\b|called"
        r"|to (?:act|be|play|respond))",
        r"\bimmerse yourself|\byou are going to (?:act|pretend|play|be)|\byou will (?:act|pretend"
        r"|play|assume) ",
    ),
    rule(
        "persona",
        ("pretend imagine act simulate roleplay role",),
        rf"\b(?:pretend|imagine|act as (?:if|though)|simulate|roleplay|role play)\b{NEXT}{up_to(5)}"
        r"(?:you (?:are|were|have) (?:no|not|an? (?:evil|unrestricted|unfiltered|hacker|ai))"
        r"|an? (?:unrestricted|unfiltered|uncensored|evil|dan)"
        r"|without (?:any )?(?:restrictions|rules|limits|filters))",
    ),
    rule(
        "markers",
        (),
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|end_of_text|start_header_id|eot_id"
        r"|endofprompt)\|?>?",
        r"\[/?inst\]|<</?sys>>",
        r"</?(?:system|system_prompt|system_message|user_input|user_query|assistant|instructions?"
        r"|prompt|data"
        r"|untrusted|documents?|context)>",
        marks="< [inst] [/inst]",
    ),
    rule(
        "markers",
        ("system developer",),
        r"(?:^|\n|[#*\"(<\[{] ?)(?:system|developer)(?: (?:message|prompt|note|override|update|alert"
        r"|instruction))?"
        r" ?[\])}*]{0,3}:",
    ),
    rule(
        "markers",
        (),
        r"#{2,5} ?(?:system|instructions?|new instructions?|response|end of|assistant|human|user)\b ?:?",
        marks="##",
    ),
    rule(
        "markers",
        (
            "begin beginning start end",
            "instruction instructions prompt system document context data mail mails email emails",
        ),
        r"\b(?:begin|start|end)(?:ning)?(?: of)?(?: the)? (?:new |user |system |untrusted )?"
        r"(?:instructions?|prompt|system|document|context|data|mails?|emails?)[ -]{0,2}(?:[\])}>#=-]"
        r"|-{2,})",
    ),
    rule(
        "concealment",
        (
            ("tell telling mention mentioning reveal revealing inform informing alert notify notifying"),
            "user users anyone instruction instructions",
        ),
        r"\b(?:do not|don'?t|never|without) "
        + any_of(
            "tell, telling, mention, mentioning, reveal, revealing, inform, informing, alert, "
            "notify, notifying"
        )
        + r"\b[^.!?\n]{0,40}\b(?:the users?|anyone about (?:this|these)|these? instructions?"
        r"|this instruction)\b",
    ),
)

SPACELESS_RULES: Sequence[tuple[Sequence[str], str]] = (
    (
        ("ignore", "disregard", "forget", "override", "bypass"),
        (
            r"(?:ignore|disregard|forget|override|bypass)(?:all|any|every|the|of|my|your|these|those|and){0,4}"
            r"(?:previous|prior|preceding|above|earlier|initial|original|system|safety)(?:system|user|given"
            r"|safety)?(?:instruction|prompt|direction|directive|guideline|rule|order|command)"
        ),
    ),
    (
        ("systemprompt", "systemmessage", "initialprompt", "initialinstruction", "hiddenprompt"),
        (
            r"(?:reveal|repeat|print|show|output|display|tellme|giveme)(?:me|us|all|your|the|exact|full"
            r"|entire|of|hidden){0,4}"
            r"(?:systemprompt|systemmessage|initialprompt|initialinstruction|hiddenprompt)"
        ),
    ),
    (("doanythingnow",), "doanythingnow"),
)
"""The commonest phrases by their letters alone, for texts that are spaced or pointed otherwise.

Parts of which a phrase holds one, and its pattern.
"""
