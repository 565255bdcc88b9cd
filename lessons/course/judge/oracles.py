"""Libraries that have the answers, and where a file imports them."""

import ast

ORACLES = """
    torch torchvision torchtext tensorflow keras jax flax sklearn scipy cupy cupyx transformers tokenizers gensim
    autograd tinygrad mxnet paddle theano chainer dezero sacrebleu rouge_score nltk spacy onnxruntime mlx
    sentencepiece tiktoken
""".split()  # noqa: SIM905


def oracle_imports(tree: ast.AST, function: str = "<module>") -> list[tuple[str, str, int]]:
    """(library, name of the function that imports it, line) of each import of such a library, by line."""
    found = []
    for node in ast.iter_child_nodes(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        tops = [name.partition(".")[0] for name in names]
        found += [(top, function, node.lineno) for top in tops if top in ORACLES]
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        found += oracle_imports(node, node.name if inside else function)
    return found
