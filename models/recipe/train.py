"""Trains one model on an encoded corpus: AdamW over a fixed number of steps, in two processes that share gradients.

Two processes with a thread each are faster on two cores than one process with two threads, and the order of their sums
is fixed: on one machine, a seed gives the same model each time.
"""

import json
import math
import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy  # noqa: E402
import torch  # noqa: E402
import torch.multiprocessing as processes  # noqa: E402
from torch.nn import functional  # noqa: E402

import network  # noqa: E402
import tokenizer  # noqa: E402

WORKERS = 2
BETAS, EPSILON, WEIGHT_DECAY = (0.9, 0.98), 1e-8, 0.05
WARM_UP = 60
BARRIER_SECONDS = 600
HELD_OUT_DOCUMENTS = 12
# Of all tokens of the corpus.
RARE = 1 / 400
# Tokens of a batch that a head is asked to say.
MOST_COPIED = 512
COPY_WEIGHT = 0.3


class Documents:
    """Batches of whole documents out of an encoded corpus."""

    def __init__(self, path, weights, drills=True):
        arrays = numpy.load(path)
        self.ids = torch.from_numpy(arrays["ids"].astype(numpy.int64))
        self.weights = torch.tensor(weights)[torch.from_numpy(arrays["kinds"].astype(numpy.int64))]
        ends = arrays["ends"].tolist()
        # Words that a text is about, and not those that every text has.
        self.rare = torch.bincount(self.ids) < len(self.ids) * RARE
        self.spans = list(zip([0, *ends[:-1]], ends))
        self.families = [tokenizer.FAMILIES[family] for family in arrays["families"]]
        self.order = [place for place, family in enumerate(self.families) if drills or family != "drill"]

    def batch(self, places):
        """Ids [n], spans, and what is to come with its weight [n]; a document's last token has nothing to come."""
        spans, start = [], 0
        for place in places:
            length = self.spans[place][1] - self.spans[place][0]
            spans.append((start, start + length))
            start += length
        ids = torch.cat([self.ids[slice(*self.spans[place])] for place in places])
        weights = torch.cat([self.weights[slice(*self.spans[place])] for place in places])
        following, their_weights = ids.roll(-1), weights.roll(-1)
        for _, end in spans:
            their_weights[end - 1] = 0
        return ids, spans, following, their_weights

    def batches(self, worker):
        """Endless: whole documents up to a number of tokens; every worker has documents of its own."""
        own = self.order[worker::WORKERS]
        at = 0
        budget = yield
        while True:
            places, tokens = [], 0
            while True:
                place = own[at % len(own)]
                length = self.spans[place][1] - self.spans[place][0]
                if places and tokens + length > budget:
                    break
                places.append(place)
                tokens += length
                at += 1
            budget = yield self.batch(places)

    def of_family(self, family, most):
        return [place for place, of in enumerate(self.families) if of == family][:most]


def loss_of(parameters, config, batch, angles, watched=None):
    ids, spans, following, weights = batch
    logits = network.logits(parameters, config, ids, spans, angles, watched)
    return (functional.cross_entropy(logits, following, reduction="none") * weights).sum() / weights.sum()


def copy_loss(parameters, config, watched, batch, rare):
    """
    Teaches the last head of each watched layer to copy: where to look, which is at words of the text so far that are
    the one to come, and to say what it looks at. To copy out of the prompt is the last thing that models of this size
    learn by themselves, if they do. Takes what `network.logits` left in watched, and which tokens are rare,
    [vocabulary]; gives the mean of both losses, in nats.
    """
    ids, spans, following, weights = batch
    some = rare[ids].nonzero()[:, 0][:MOST_COPIED]
    scale = watched.pop("scale")
    looks, says = [], []
    for layer, (normed, attended) in watched.items():
        said = network.copied(parameters, config, layer, normed[some], scale)
        says.append(functional.cross_entropy(said, ids[some]))
        for (start, end), weight in zip(spans, attended):
            same = (ids[None, start:end] == following[start:end, None]).tril()
            copies = same.any(1) & rare[following[start:end]] & (weights[start:end] >= 1)
            looks.append(-((weight * same).sum(1)[copies] + 1e-4).log())
    looks = torch.cat(looks)
    return looks.mean() if len(looks) else torch.zeros(()), sum(says) / len(says)


def layout(config):
    """Where each parameter stands in a flat vector."""
    places, at = {}, 0
    for name, shape in network.shapes(config):
        size = math.prod(shape)
        places[name] = (at, at + size, shape)
        at += size
    return places, at


def views(flat, places):
    return {name: flat[start:end].view(shape) for name, (start, end, shape) in places.items()}


def learning_rate(stage, step):
    """Rises for a while, then goes in a line from the stage's first to its last."""
    done = step / stage["steps"]
    first, last = stage["rate"]
    return min(1, (step + 1) / WARM_UP) * (first + (last - first) * done)


def work(worker, job, shared):
    torch.set_num_threads(1)
    config, stage = job["config"], job["stage"]
    places, size = layout(config)
    parameters = views(shared["values"], places)
    gradients = views(shared["gradients"][worker], places)
    for name, value in parameters.items():
        parameters[name] = value.requires_grad_(True)
        parameters[name].grad = gradients[name]
    decays = torch.zeros(size)
    for name, (start, end, shape) in places.items():
        decays[start:end] = float(len(shape) == 2 and name not in ("token_embd.weight", "output.weight"))
    low, high = worker * size // WORKERS, (worker + 1) * size // WORKERS
    mine, decays = shared["values"][low:high], decays[low:high] * WEIGHT_DECAY
    first, second = torch.zeros(high - low), torch.zeros(high - low)
    documents = Documents(f"{job['folder']}/training.npz", job["weights"], job["drills"])
    held_out = Documents(f"{job['folder']}/held-out.npz", [0.0, 1.0, 1.0, 1.0])
    angles = network.rotations(tokenizer.CONTEXT, config["head_width"])
    batches = documents.batches(worker)
    next(batches)
    # Every stage goes on in the corpus where the one before stopped.
    for past in job["past"]:
        for _ in range(past["steps"]):
            batches.send(past["tokens"])
    began, mean = time.time(), None
    for step in range(stage["steps"]):
        shared["gradients"][worker].zero_()
        batch = batches.send(stage["tokens"])
        watched = dict.fromkeys(stage["copying"]) if "copying" in stage else None
        loss = loss_of(parameters, config, batch, angles, watched)
        copying = copy_loss(parameters, config, watched, batch, documents.rare) if watched else ()
        (loss + COPY_WEIGHT * sum(copying)).backward()
        shared["barrier"].wait(BARRIER_SECONDS)
        with torch.no_grad():
            gradient = sum(one[low:high] for one in shared["gradients"]) / WORKERS
            shared["squares"][worker] = gradient.square().sum()
            shared["barrier"].wait(BARRIER_SECONDS)
            gradient *= min(1.0, 1.0 / (shared["squares"].sum().sqrt().item() + 1e-12))
            first.lerp_(gradient, 1 - BETAS[0])
            second.lerp_(gradient.square(), 1 - BETAS[1])
            scaled = (second / (1 - BETAS[1] ** (step + 1))).sqrt_().add_(EPSILON)
            update = (first / (1 - BETAS[0] ** (step + 1))).div_(scaled).addcmul_(decays, mine)
            mine.sub_(update, alpha=learning_rate(stage, step))
            shared["barrier"].wait(BARRIER_SECONDS)
        mean = loss.item() if mean is None else 0.97 * mean + 0.03 * loss.item()
        if worker == 0 and ((step + 1) % job["report_each"] == 0 or step + 1 == stage["steps"]):
            report(job, step + 1, mean, time.time() - began, parameters, held_out, angles)


def report(job, step, mean, seconds, parameters, held_out, angles):
    """A line of the training curve: mean loss of training, and that of held-out answers by family."""
    seen = sum(past["steps"] * past["tokens"] for past in job["past"]) + step * job["stage"]["tokens"]
    line = {"layers": job["config"]["layers"], "step": step, "tokens": WORKERS * seen}
    line |= {"loss": round(mean, 4), "seconds": round(seconds)}
    with torch.no_grad():
        for family in tokenizer.FAMILIES[:4]:
            places = held_out.of_family(family, HELD_OUT_DOCUMENTS)
            if places:
                line[family] = round(loss_of(parameters, job["config"], held_out.batch(places), angles).item(), 4)
    print(json.dumps(line), flush=True)
    with open(f"{job['folder']}/{job['name']}.curve.jsonl", "a") as file:
        file.write(json.dumps(line) + "\n")
    save(job, parameters)


def save(job, parameters):
    """The whole model, or the one before, whatever happens meanwhile."""
    path = f"{job['folder']}/{job['name']}.pt"
    kept = {name: value.detach().clone() for name, value in parameters.items()}
    torch.save({"config": job["config"], "parameters": kept, "stages": job["stages_done"]}, path + ".part")
    os.replace(path + ".part", path)


def main(folder, name, recipe, vocabulary, seed, resume=False):
    """
    Trains a model in its stages; each may have more layers, and more heads in each, than the one before. To resume
    is to go on behind the last stage that was finished.
    """
    processes.set_start_method("fork", force=True)
    curve, kept = f"{folder}/{name}.curve.jsonl", f"{folder}/{name}.pt"
    parameters, config, past = None, {}, []
    if resume and os.path.exists(kept):
        model = torch.load(kept)
        past = recipe["stages"][: model["stages"]]
        parameters, config = model["parameters"], {"head_width": recipe["head_width"], **model["config"]}
    elif os.path.exists(curve):
        os.remove(curve)
    for stage in recipe["stages"][len(past) :]:
        before, config = config, {key: recipe[key] for key in ("width", "head_width", "ff", "tied")}
        config |= {"layers": stage["layers"], "heads": stage["heads"], "vocabulary": vocabulary}
        if parameters is None:
            parameters = network.initial(config, seed)
        else:
            parameters = network.with_layers(parameters, before["layers"], stage["layers"])
            parameters = network.with_heads(parameters, before, stage["heads"], seed)
        places, size = layout(config)
        values = torch.zeros(size).share_memory_()
        for key, view in views(values, places).items():
            view.copy_(parameters[key])
        shared = {
            "values": values,
            "gradients": [torch.zeros(size).share_memory_() for _ in range(WORKERS)],
            "squares": torch.zeros(WORKERS).share_memory_(),
            "barrier": processes.Barrier(WORKERS),
        }
        job = {"folder": folder, "name": name, "config": config, "stage": stage, "report_each": recipe["report_each"]}
        job |= {"weights": recipe["weights"], "drills": recipe["drills"], "past": past, "stages_done": len(past)}
        print(f"{name}: {size} parameters, {stage['layers']} layers, {stage['steps']} steps", flush=True)
        workers = [processes.Process(target=work, args=(worker, job, shared)) for worker in range(WORKERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            if worker.exitcode != 0:
                raise SystemExit(f"training of {name} failed: a process ended with {worker.exitcode}")
        parameters = {key: view.clone() for key, view in views(values, places).items()}
        past = [*past, stage]
        save(job | {"stages_done": len(past)}, parameters)
