"""The one phrase that all collections of attacks share, in other languages: to ignore instructions.

What they find is not measured but of German, Spanish, French and Portuguese, and there hardly.
"""

from promptops.checks.injection_patterns import NEXT, any_of, rule, up_to

FOREIGN_RULES = (
    # German; French, Spanish, Portuguese, Italian; Dutch, Polish, Russian; Chinese, Japanese, Korean
    rule(
        "override",
        (
            (
                "ignorier ignoriere ignorieren ignoriert vergiss vergesse vergessen missachte missachten "
                "missachtet übergehe übergehen umgehe umgehen"
            ),
        ),
        rf"\b(?:ignorier|vergiss|vergesse|missacht|übergeh|umgeh)\w{{0,4}}\b{NEXT}{up_to(5)}"
        r"(?:anweisung|instruktion|vorgabe|befehl|regel|aufgabe|prompt)\w{0,4}\b",
    ),
    rule(
        "override",
        (
            (
                "ignore ignorez ignorer ignorons ignora ignoren ignorar ignorad ignorem ignorate ignorare "
                "oublie oubliez oublier olvida olvide olviden olvidar esqueça esqueçam esquece esquecer "
                "desconsidere desconsiderem desconsiderar dimentica dimenticate dimenticare tralascia "
                "descarte descarta descartar desobedeça desobedece outre"
            ),
        ),
        r"\b(?:ignor|oubli|olvid|esqueç|esquec|desconsider|dimentic|tralasci|descart|desobed"
        r"|passe outre)"
        rf"\w{{0,5}}\b{NEXT}{up_to(4)}"
        + any_of(
            "instructions?, instrucciones, instruções, istruzioni, consignes, règles, "
            "reglas, regras, "
            "regole, directives, direttive, diretrizes, directrices, órdenes, ordens, prompts?, "
            "comandos"
        )
        + r"\b",
    ),
    rule(
        "override",
        (
            (
                "negeer vergeet zignoruj zignorujcie ignoruj ignorujcie zapomnij zapomnijcie pomiń "
                "игнорируй игнорируйте забудь "
                "забудьте следуй следуйте"
            ),
        ),
        r"\b(?:negeer|vergeet|z?ignoruj\w{0,3}|zapomnij\w{0,3}|pomiń"
        r"|игнорируй\w{0,2}"
        r"|забудь\w{0,2}"
        rf"|не следуй\w{{0,2}})\b{NEXT}{up_to(4)}"
        r"(?:instructies|opdrachten|regels|instrukcj\w{1,3}|polece\w{1,4}"
        r"|инструкц\w{1,4}"
        r"|указан\w{1,4}"
        r"|правил\w{0,3}|команд\w{0,3})\b",
    ),
    rule(
        "override",
        (),
        r"(?:忽略|忽视|忽視|无视|無視|忘记"
        r"|忘掉|不要理会).{0,12}"
        r"(?:指令|指示|提示|规则|規則|命令)",
        r"(?:指示|命令|プロンプト"
        r"|ルール).{0,8}(?:無視|忘れ)",
        r"(?:지시|프롬프트).{0,10}(?:무시|잊)",
        marks="忽 無 无视 忘记 忘掉 不要理会 忘れ 무시 잊",
    ),
)
