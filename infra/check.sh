#!/bin/sh
# Checks this folder without an account: `make infra`. With ../shared/tools/tfcheck, Terraform plans,
# applies and destroys against a stand-in for Google's provider, and checkov looks for weak settings;
# without it, Terraform says what it can with the provider from its registry.
set -eu
cd "$(dirname "$0")/.."

tfcheck=../shared/tools/tfcheck
if [ ! -x "$tfcheck/tfcheck" ]; then
  cd infra
  terraform fmt -check -recursive
  terraform init -backend=false -input=false
  terraform validate
  exit
fi

export TFCHECK_HOME="${TFCHECK_HOME:-$HOME/.cache/tfcheck}"
if [ ! -x "$TFCHECK_HOME/venv-checkov/bin/checkov" ]; then
  "$tfcheck/tfcheck" infra --no-plan # sets itself up, without checkov
  "$TFCHECK_HOME/setup.sh" --checkov
fi

mkdir -p out
status=0
"$tfcheck/tfcheck" infra --var project_id=my-project --plan-json out/plan.json \
  --apply --test --checkov > out/tfcheck.txt || status=$?
cat out/tfcheck.txt
if grep -q 'WARNING' out/tfcheck.txt; then
  echo "warnings are to be mended, or skipped in place with a reason" >&2
  exit 1
fi
exit "$status"
