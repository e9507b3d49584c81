"""Learns the tokenizer, trains the target and the drafter, and writes both: all that follows the corpus."""

import argparse
import json
import os
import pathlib

HERE = pathlib.Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="holds training.jsonl and held-out.jsonl; receives everything else")
    parser.add_argument("--size", required=True, help="a size of sizes.json")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--resume", action="store_true", help="go on behind the last finished stage of a training")
    parser.add_argument("--only", choices=["tokenizer", "target", "drafter", "export"], help="only this step")
    given = parser.parse_args()
    with open(HERE / "sizes.json") as file:
        size = json.load(file)[given.size]
    # After the arguments: they may be wrong, and this takes a while to load.
    import torch

    import export
    import tokenizer
    import train

    folder = given.folder
    wanted = lambda step: given.only in (None, step)  # noqa: E731
    if wanted("tokenizer"):
        tokenizer.main(folder, size["vocabulary"])
    models = ("target", "drafter")
    for number, name in enumerate(models):
        if wanted(name):
            train.main(folder, name, size[name], size["vocabulary"], given.seed + number, given.resume)
    if wanted("export"):
        with open(f"{folder}/tokenizer.json") as file:
            learnt = json.load(file)
        with open(HERE / "chat-template.jinja") as file:
            template = file.read().strip()
        with open(f"{folder}/tokenized.json") as file:
            ids, rows = json.load(file)[0]["ids"], {}
        for name in models:
            model = torch.load(f"{folder}/{name}.pt")
            for form in export.FILE_TYPES:
                path = f"{folder}/pico-{name}-{form}.gguf"
                words = (learnt["tokens"], learnt["merges"], template)
                export.write(path, model, *words, f"PicoSpec {name}", form)
                print(f"{path}: {os.path.getsize(path)} bytes", flush=True)
            rows[name] = last_row(model, ids)
        # For a test: the engine has to find the same with the same files.
        with open(f"{folder}/rows.json", "w") as file:
            json.dump({"ids": ids, **rows}, file)


def last_row(model, ids):
    """Logits behind the ids."""
    import torch

    import network
    import tokenizer

    config = model["config"]
    angles = network.rotations(tokenizer.CONTEXT, config["head_width"])
    with torch.no_grad():
        found = network.logits(model["parameters"], config, torch.tensor(ids), [(0, len(ids))], angles)
    return found[-1].tolist()


if __name__ == "__main__":
    main()
