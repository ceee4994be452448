#!/usr/bin/env bash
# Noisy-student rounds (Xie, Luong, Hovy, Le; CVPR 2020) for labels that a source lacks.
#
#   bash noisy-student.sh ROUNDS [TRAINING FLAG ...]        for example: bash noisy-student.sh 2 --encoder resnet50 --epochs 20
#
# Run it in a workspace (the current folder, or CXRLT_WORKSPACE) with cached sources and label embeddings. The teacher of round
# 0 is trained without unknown labels. In each round the teacher scores the training images in two views, without noise. Its
# scores replace missing labels, in training only. The student is trained on them with noise (MixUp, CutMix, label smoothing)
# and is the next teacher. Validation and test keep their labels and patients, because the split depends only on the seed of
# merge. Set NOISE and MERGE to other flags if you want.
set -euo pipefail
rounds=$1; shift
merge=(cxrlt merge --blank absent ${MERGE:-} --overwrite)
noise=(${NOISE:---mixup 0.2 --cutmix 1 --label-smoothing 0.05})

"${merge[@]}" --missing ignore
cxrlt train --name round-0 "$@"
for ((round = 1; round <= rounds; round++)); do
    cxrlt predict "round-$((round - 1))" --split train --tta 2 --name teacher --overwrite
    "${merge[@]}" --missing pseudo --pseudo "${CXRLT_WORKSPACE:-.}/predictions/teacher.parquet"
    cxrlt train --name "round-$round" "${noise[@]}" "$@"
done
for ((round = 0; round <= rounds; round++)); do
    cxrlt predict "round-$round" --name "round-$round"
    cxrlt evaluate "round-$round"
done
