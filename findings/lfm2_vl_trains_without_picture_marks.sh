#!/usr/bin/env bash
# A good guess: LLaMA-Factory's template `lfm2_vl` lays a picture out as transformers' Lfm2VlProcessor does.
# What happens: the processor puts <|image_start|> before a picture's tokens and <|image_end|> after them; the template's
# plugin writes the picture's tokens alone. Its markup has no begin token either, which the model's own template writes.
# Nothing fails: as many picture tokens stand in both, so that the features fit.
# Why it hurts: the model is trained on prompts that no processor, server or evaluation will send it.
# Versions: llamafactory 0.9.5, transformers 5.5.4, torch 2.13.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q torch==2.13.0 torchvision==0.28.0 transformers==5.5.4 datasets==4.0.0 peft==0.18.1 \
  trl==0.24.0 accelerate==1.11.0 av==16.0.0 pillow==10.4.0 numpy==2.3.5 omegaconf==2.3.0
"$work/env/bin/pip" install -q --no-deps llamafactory==0.9.5
cd "$work"
: > torchaudio.py # imported for sound; not used here
cat > check.py <<'PY'
import logging
from importlib.metadata import version

import torch

if torch.version.cuda is None:  # torchvision's wheel may be a CUDA build; its operators are not used here
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor boxes, Tensor scores, float limit) -> Tensor")

import transformers as t
from llamafactory.data.template import get_template_and_fix_tokenizer
from llamafactory.hparams import DataArguments
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

logging.disable(logging.WARNING)
print(*(f"{name} {version(name)}" for name in ("llamafactory", "transformers", "torch")), sep=", ")
special = ["<|pad|>", "<|startoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<|image_start|>", "<|image_end|>",
           "<|img_thumbnail|>", *(f"<|img_row_{i}_col_{j}|>" for i in range(1, 5) for j in range(1, 5))]
bpe = Tokenizer(models.BPE())
bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
bpe.train_from_iterator(["what colour is it? red user assistant"], trainers.BpeTrainer(
    vocab_size=300, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
bpe.add_special_tokens(special)
tokenizer = t.PreTrainedTokenizerFast(
    tokenizer_object=bpe, bos_token="<|startoftext|>", eos_token="<|im_end|>", pad_token="<|pad|>",
    extra_special_tokens={"image_token": "<image>", "image_start_token": "<|image_start|>",
                          "image_end_token": "<|image_end|>", "image_thumbnail": "<|img_thumbnail|>"})
kind = getattr(t, "Lfm2VlImageProcessor", None) or t.Lfm2VlImageProcessorFast
processor = t.Lfm2VlProcessor(
    image_processor=kind(tile_size=128, min_image_tokens=4, max_image_tokens=16, encoder_patch_size=16,
                         downsample_factor=2, max_num_patches=64, min_tiles=2, max_tiles=4),
    tokenizer=tokenizer)
picture = Image.new("RGB", (64, 64))
asked = processor(text="<|im_start|>user\n<image>what colour is it?<|im_end|>\n", images=[[picture]],
                  add_special_tokens=False)["input_ids"][0]
asked = tokenizer.decode(asked)
template = get_template_and_fix_tokenizer(tokenizer, DataArguments(template="lfm2_vl", default_system=""))
rows = [{"role": "user", "content": "<image>what colour is it?"}, {"role": "assistant", "content": "red"}]
laid = template.mm_plugin.process_messages(rows, [picture], [], [], processor)
trained = tokenizer.decode(template.encode_oneturn(tokenizer, laid, "", "")[0])
print("the processor:", repr(asked))
print("LLaMA-Factory:", repr(trained))
assert "<|image_start|><image>" in asked and "<image><|image_end|>what" in asked, asked
assert "<|image_start|>" not in trained and "<image>what colour" in trained, trained
assert not trained.startswith("<|startoftext|>"), trained
assert asked.count("<image>") == trained.count("<image>"), (asked, trained)
print("the same number of picture tokens, without their marks and without the begin token")
PY
env/bin/python check.py
