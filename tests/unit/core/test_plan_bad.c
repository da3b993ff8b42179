/* Every check of a plan: one change to a good plan, and what is said about it. */
#include "engine/core/plan.h"
#include "tests/support/check.h"

/* clang-format off */
#define METRIC                                                                         \
    "  - {name: errors, abort_over: 1.2, floor: 0.05%, limit: 1%, share: 2}\n"

static const char base[] =
    "id: shop-1\n"
    "cohorts:\n"
    "  canary: {version: \"2\"}\n"
    "  baseline: {version: \"1\"}\n"
    "steps:\n"
    "  - {weight: 1%, worse_than: 4.0, bake: 2m}\n"
    "  - {weight: 25%, worse_than: 2.0, gate: sre}\n"
    "  - {weight: 100%, watch: 15m}\n"
    "metrics:\n"
    "  - {name: errors, abort_over: 1.2, floor: 0.05%, limit: 1%, share: 2}\n"
    "gates:\n"
    "  sre: {approvers: [alice, bob], quorum: 1}\n"
    "criteria: {all_of: [errors], min_requests: 1000}\n"
    "schedule: {freeze: [{from: 2026-12-24, to: 2027-01-02}]}\n";

static const struct {
    const char *old, *changed; /* the first `old` of the plan is replaced */
    const char *errors;        /* line:column: message, one a line */
} cases[] = {
    {"id: shop-1", "id: Shop 1",
     "1:5: id: \"Shop 1\" is not a name of lower-case letters, digits, '.', '_' and '-' that begins with a letter or a digit; did you mean \"shop-1\"?"},
    {"id: shop-1", "id:",
     "1:4: id: found nothing where a name of lower-case letters, digits, '.', '_' and '-' that begins with a letter or a digit is expected"},
    {"id: shop-1\n", "service: x\n",
     "1:1: \"id\" is missing: the rollout's name, unique, e.g. checkout-2.4.0"},
    {"id: shop-1", "id: [a]",
     "1:5: id: found a list where a name of lower-case letters, digits, '.', '_' and '-' that begins with a letter or a digit is expected"},
    {"id: shop-1", "id: shop-1\nstrategi: canary",
     "2:1: unknown key \"strategi\"; did you mean \"strategy\"?"},
    {"id: shop-1", "id: shop-1\nzzzzzz: 1",
     "2:1: unknown key \"zzzzzz\"; known here: apiVersion, kind, id, service, environment, flag, owner, release_notes, rollback_plan, strict, strategy, cohorts, strata, window, calibrate, risk, steps, ..."},
    {"id: shop-1", "id: shop-1\nid: shop-2",
     "2:1: key \"id\" is written twice; the first is in line 1"},
    {"id: shop-1", "id: &a shop-1",
     "1:5: anchors (&a) are not supported; write the value out"},
    {"id: shop-1", "id: !!str shop-1",
     "1:5: tags (tag:yaml.org,2002:str) are not supported; leave the tag out"},
    {"id: shop-1", "id: shop-1\napiVersion: serin/v2",
     "2:13: apiVersion: \"serin/v2\" is none of serin/v1; did you mean \"serin/v1\"?"},
    {"id: shop-1", "id: shop-1\nstrategy: blue_green",
     "7:14: weight: blue_green switches all traffic at once; before the last step, 100%, it takes {kind: preview}, {kind: mirror} and {kind: pause}\n"
     "8:14: weight: blue_green switches all traffic at once; before the last step, 100%, it takes {kind: preview}, {kind: mirror} and {kind: pause}"},
    {"id: shop-1", "id: shop-1\nstrategy: flag",
     "2:11: strategy: flag needs the flag's key; write e.g. flag: new-cart"},
    {"weight: 1%, worse_than: 4.0, bake: 2m", "kind: mirrored",
     "6:12: kind: \"mirrored\" is none of weight, analysis_only, mirror, preview, pause; did you mean \"mirror\"?"},
    {"weight: 1%, worse_than: 4.0, bake: 2m", "kind: preview",
     "6:12: kind: preview belongs to strategy: blue_green; its traffic is no fair sample to carry on to weights"},
    {"weight: 1%, worse_than: 4.0, bake: 2m", "kind: analysis_only",
     "6:12: kind: analysis_only judges on at the weight before it, and there is none; begin with a weight, a mirror or a preview"},
    {"weight: 1%, worse_than: 4.0, bake: 2m", "kind: pause, weight: 1%, worse_than: 3, for: 1h, share: 5%",
     "6:27: weight: belongs to a step of kind weight, not to pause\n"
     "6:43: worse_than: belongs to a step of kind weight, analysis_only, mirror, preview, not to pause\n"
     "6:62: share: belongs to a step of kind mirror, not to pause"},
    {"weight: 25%, worse_than: 2.0, gate: sre", "kind: pause, gate: sir",
     "7:25: gate: \"sir\" is not defined; define it under gates: with its approvers"},
    {"weight: 25%, worse_than: 2.0, gate: sre", "kind: analysis_only, bake: 2h",
     "7:5: timeout: shorter than warmup and bake together (7200 s); the step could never pass"},
    {"weight: 100%, watch: 15m", "kind: pause, for: 1h",
     "8:5: weight: the last step must be 100%, where the canary is only watched; append {weight: 100%, watch: 15m}"},
    {"weight: 1%, worse_than: 4.0, bake: 2m", "weight: 1%, audience: [a]",
     "6:28: audience: belongs to strategy: flag; other strategies cannot tell users apart"},
    {"weight: 1%, worse_than: 4.0, bake: 2m", "weight: 0.015%",
     "6:14: weight: 0.015% is finer than 0.01%, the smallest step of a weight"},
    {"id: shop-1", "id: shop-1\nstrategy: canry",
     "2:11: strategy: \"canry\" is none of canary, blue_green, flag, experiment; did you mean \"canary\"?"},
    {"id: shop-1", "id: shop-1\nstrict: true",
     "2:9: strict: true needs \"owner\"; add it, or drop strict\n"
     "2:9: strict: true needs \"release_notes\"; add it, or drop strict\n"
     "2:9: strict: true needs \"rollback_plan\"; add it, or drop strict"},
    {"id: shop-1", "id: shop-1\nstrict: yes",
     "2:9: strict: \"yes\" is not true or false; did you mean true?"},
    {"id: shop-1", "id: shop-1\nwindow: 1500ms",
     "2:9: window: 1500ms is not a whole number of seconds, e.g. 1s, 2s, 10s"},
    {"id: shop-1", "id: shop-1\nwindow: 500ms",
     "2:9: window: 500ms is below the minimum of 1s"},
    {"id: shop-1", "id: shop-1\nwindow: 2 s",
     "2:9: window: \"2 s\" is not a duration such as 200ms, 30s, 5m or 2h or the word auto; did you mean 2s?"},
    {"id: shop-1", "id: shop-1\ncalibrate: skip",
     "11:5: metric errors needs phi, because calibrate is skip; write e.g. phi: 1.3 or let it be calibrated"},
    {"id: shop-1", "id: shop-1\ncalibrate: 1s",
     "2:12: calibrate: 1s is below the minimum of 10s"},
    {"id: shop-1", "id: shop-1\nrisk: {false_abort: 0}",
     "2:21: false_abort: 0 is below the minimum of 1e-09"},
    {"id: shop-1", "id: shop-1\nrisk: {false_abort: 60%}",
     "2:21: false_abort: 60% is above the maximum of 0.5"},
    {"id: shop-1", "id: shop-1\nrisk: {false_abort: .nan}",
     "2:21: false_abort: \".nan\" is not a share such as 0.05 or 5%"},
    {"id: shop-1", "id: shop-1\nsilence: 1s",
     "2:10: silence: 1s is below the minimum of 5s"},
    {"id: shop-1", "id: shop-1\nstrata: [[a]]",
     "2:10: strata: found a list where a text is expected"},
    {"id: shop-1", "id: shop-1\nstrata: {a: b}",
     "2:9: strata: found a map where a list of texts is expected"},
    {"id: shop-1", "id: shop-1\non: {timeout: promote}",
     "2:15: timeout: \"promote\" is none of hold, abort"},
    {"id: shop-1", "id: shop-1\nsample_ratio: {tolerance: 60%}",
     "2:27: tolerance: 60% is above the maximum of 0.5"},
    {"id: shop-1", "id: shop-1\nowner: *me",
     "2:8: aliases (*me) are not supported; write the value out"},
    {"baseline: {version: \"1\"}", "baseline: {version: \"2\"}",
     "4:13: canary and baseline are identical; give them different values of an attribute, e.g. service.version"},
    {"canary: {version: \"2\"}", "canary: {version: \"1\", track: c}",
     "4:13: baseline matches every record of the canary, too; add an attribute in which they differ"},
    {"baseline: {version: \"1\"}", "baseline: {version: \"1\", track: b}\n  canary2: {a: b}",
     "5:3: unknown key \"canary2\"; did you mean \"canary\"?"},
    {"  canary: {version: \"2\"}\n", "  canary: {}\n",
     "3:11: canary: 0 given; 1 to 16 are expected"},
    {"  canary: {version: \"2\"}\n", "",
     "3:3: cohorts: \"canary\" is missing: what tells the new version's records: its version (with service, environment or flag), or attributes that all fit"},
    {"{version: \"1\"}", "{version: [[1]]}",
     "4:24: version: expected a text here"},
    {"{version: \"1\"}", "{version: []}",
     "4:23: version: 0 values; 1 to 64 are taken"},
    {"{version: \"1\"}", "{version: ~}",
     "4:23: version: a value is missing"},
    {"{version: \"1\"}", "{version: {suffix: a}}",
     "4:23: version: expected a value, a list of values, {prefix: TEXT} or {regex: PATTERN}"},
    {"{version: \"1\"}", "{version: {prefix: [a]}}",
     "4:32: version: expected a text here"},
    {"{version: \"1\"}", "{version: {regex: 1(.*}}",
     "4:31: regex: missing closing parenthesis at character 5 of the pattern"},
    {"{version: \"1\"}", "1.0",
     "4:13: baseline: a version alone could be any service's; add service: NAME at the top, or write {service.name: NAME, service.version: …}"},
    {"{version: \"1\"}", "{version: {prefix: \"\"}}",
     "4:32: version: a value is missing"},
    {"{version: \"1\"}", "{version: {regex: \"[0-9]\"}}",
     "4:13: baseline matches every record of the canary, too; add an attribute in which they differ"},
    {"{version: \"1\"}", "{version: [1, 2]}",
     "4:13: baseline matches every record of the canary, too; add an attribute in which they differ"},
    {"  canary: {version: \"2\"}\n  baseline: {version: \"1\"}", "  canary: {version: [1, 2]}\n  baseline: {version: [2, 3]}",
     "4:13: records with version \"2\" match canary and baseline and would count for neither; let the patterns exclude each other"},
    {"  canary: {version: \"2\"}\n  baseline: {version: \"1\"}", "  canary: {version: {prefix: 2}}\n  baseline: {version: {regex: \"2|1.*\"}}",
     "4:13: records with version \"2\" match canary and baseline and would count for neither; let the patterns exclude each other"},
    {"canary: {version: \"2\"}", "canary: {version: \"1\", track: c}\n  #",
     "5:13: baseline matches every record of the canary, too; add an attribute in which they differ"},
    {"limit: 1%,", "limit: 1%, per: pod,",
     "10:67: per: \"pod\" is none of request, user"},
    {"limit: 1%,", "limit: 1%, from: {user_key: u},",
     "10:79: user_key: names users, but requests are counted; add per: user"},
    {"{name: errors, abort_over: 1.2, floor: 0.05%, limit: 1%, share: 2}", "{name: errors, kind: latency, per: user}",
     "10:40: per: user belongs to kind ratio; leave it out, or write kind: ratio"},
    {"weight: 25%", "weight: 1%",
     "7:14: weight: 1% does not exceed the 1% before it; weights must rise"},
    {"weight: 25%", "weight: 25",
     "7:14: weight: \"25\" is not a percentage such as 5%; did you mean 25%?"},
    {"weight: 25%", "weight: 0.001%",
     "7:14: weight: 0.001% is below the minimum of 0.01%"},
    {"weight: 25%", "weight: 0.015%",
     "7:14: weight: 0.015% is finer than 0.01%, the smallest step of a weight"},
    {"weight: 25%", "weight: 120%",
     "7:14: weight: 120% is above the maximum of 100%"},
    {"weight: 25%, ", "",
     "7:5: steps: \"weight\" is missing: share of traffic that the canary gets in this step, e.g. 5%"},
    {"weight: 25%", "wieght: 25%",
     "7:5: steps: \"weight\" is missing: share of traffic that the canary gets in this step, e.g. 5%\n"
     "7:6: unknown key \"wieght\"; did you mean \"weight\"?"},
    {"worse_than: 2.0", "worse_than: 5",
     "7:31: worse_than: 5 exceeds the 4 before it; tolerances must not grow"},
    {"worse_than: 2.0", "worse_than: 1",
     "7:31: worse_than: 1 is below the minimum of 1.01"},
    {"worse_than: 2.0", "worse_than: 1.15",
     "10:32: abort_over 1.2 of errors must be below 1.15, the worse_than of the last judged step; a canary between them could neither abort nor promote"},
    {"worse_than: 2.0", "worse_than: two",
     "7:31: worse_than: \"two\" is not a ratio such as 1.2 or a percentage such as 5%"},
    {"gate: sre", "gate: sra",
     "7:42: gate: \"sra\" is not defined; did you mean \"sre\"?"},
    {"gate: sre", "gate: ops-team",
     "7:42: gate: \"ops-team\" is not defined; define it under gates: with its approvers"},
    {"gate: sre", "timeout: 1m",
     "7:45: timeout: shorter than warmup and bake together (130 s); the step could never pass"},
    {"gate: sre", "watch: 1m",
     "7:43: watch: only the 100% step is watched; use bake here"},
    {"gate: sre", "warmup: -5s",
     "7:44: warmup: \"-5s\" is not a duration such as 200ms, 30s, 5m or 2h"},
    {"watch: 15m", "bake: 15m",
     "8:26: bake: at 100% no baseline is left to compare with; use watch"},
    {"weight: 100%, watch: 15m", "weight: 90%",
     "8:14: weight: the last step must be 100%, where the canary is only watched; append {weight: 100%, watch: 15m}"},
    {"  - {weight: 1%, worse_than: 4.0, bake: 2m}\n  - {weight: 25%, worse_than: 2.0, gate: sre}\n", "",
     "6:3: steps: 1 given; 2 to 32 are expected"},
    {"  - {weight: 100%, watch: 15m}", "  - 100%",
     "8:5: steps: found a single value where a map is expected"},
    {"name: errors", "name: Errors",
     "10:12: name: \"Errors\" is not a name of lower-case letters, digits, '.', '_' and '-' that begins with a letter or a digit; did you mean \"errors\"?"},
    {"name: errors, ", "",
     "10:5: metrics: \"name\" is missing: a name of the metric, unique in the plan, e.g. errors"},
    {"abort_over: 1.2", "from: {bad: \"status => 500\"}",
     "10:32: bad: condition \"status => 500\": no such operator; expected KEY OP VALUE with OP one of = != < <= > >=, or KEY in [V, V]"},
    {"abort_over: 1.2", "from: {bad: status}",
     "10:32: bad: condition \"status\": no operator follows the attribute's name; expected KEY OP VALUE with OP one of = != < <= > >=, or KEY in [V, V]"},
    {"abort_over: 1.2", "kind: gauge",
     "10:40: floor: belongs to kind ratio, not to gauge\n"
     "10:54: limit: belongs to kind ratio, latency, saturation, not to gauge"},
    {"abort_over: 1.2", "kind: rate",
     "10:26: kind: \"rate\" is none of ratio, latency, gauge, events, saturation; did you mean \"ratio\"?"},
    {"abort_over: 1.2", "direction: down",
     "10:44: floor: has no meaning where fewer is worse; leave it out"},
    {"abort_over: 1.2", "direction: both",
     "10:31: direction: both is two questions; write two metrics with the same "
     "`from: {metric: errors}`, one up and one down"},
    {METRIC, "  - {name: errors, kind: latency, direction: both, too_good: 20%}\n",
     "10:62: too_good: with direction: both faster is harm already; leave too_good out, "
     "abort_over is the tolerance"},
    {METRIC, "  - {name: errors, kind: events}\n",
     "10:5: metric errors: events need an exposure: a ratio or latency of mode gate in "
     "this plan, or exposure: {canary: 2, baseline: 20} pods"},
    {METRIC, "  - {name: errors, kind: events, exposure: requests}\n",
     "10:44: exposure: \"requests\" is no ratio or latency of this plan; name one, or "
     "give fixed pods: {canary: 2, baseline: 20}"},
    {METRIC, "  - {name: errors, kind: events, exposure: {canary: 2}}\n",
     "10:44: exposure: \"baseline\" is missing: pods of the baseline"},
    {METRIC, "  - {name: errors, kind: saturation, bound: 0.9}\n",
     "10:5: metric errors: 60 batches of 60 s do not fit into calibrate; write phi: 1 if a "
     "batch is ten times as long as a pod stays saturated, or calibrate: 60m"},
    {METRIC, "  - {name: errors, kind: saturation, phi: 1}\n",
     "10:5: metric errors: saturation needs a bound; write e.g. bound: 0.9"},
    {METRIC, "  - {name: errors, kind: gauge, bound: 0.9, phi: 1.2}\n",
     "10:40: bound: belongs to kind saturation, not to gauge\n"
     "10:50: phi: belongs to kind ratio, latency, events, saturation, not to gauge"},
    {METRIC, "  - {name: errors, batch: 1m, exposure: errors}\n",
     "10:27: batch: belongs to kind gauge, saturation, not to ratio\n"
     "10:41: exposure: belongs to kind events, not to ratio"},
    {METRIC, "  - {name: errors, pods: {canary: 2, baseline: 8, spread: 0.5}}\n",
     "10:26: pods: their luck alone is a spread of 0.4, above 0.3; use more pods, or leave "
     "pods out and raise abort_over to 3 or more"},
    {METRIC, "  - {name: errors, pods: {canary: 20, baseline: 200, spread: 0.1}}\n",
     "10:26: pods: their luck averages out to a spread of 0.023, below 0.1; leave pods "
     "out, the dispersion covers it"},
    {"abort_over: 1.2", "abort_over: 2",
     "10:32: abort_over 2 of errors must be below 2, the worse_than of the last judged step; a canary between them could neither abort nor promote"},
    {"abort_over: 1.2", "abort_over: 0.9",
     "10:32: abort_over: 0.9 is below the minimum of 1"},
    {"abort_over: 1.2", "abort_over: 5000%",
     "10:32: abort_over: 5000% is above the maximum of 20"},
    {"floor: 0.05%", "floor: 2%",
     "10:44: floor: 0.02 is not below the limit 0.01; nothing could be judged between them"},
    {"floor: 0.05%", "floor: 0",
     "10:44: floor: 0 is below the minimum of 1e-09"},
    {"floor: 0.05%", "floor: 1",
     "10:44: floor: 1 is above the maximum of 0.999999; did you mean 1%?"},
    {"limit: 1%", "limit: {p99: 800ms}",
     "10:58: limit: of a ratio is one rate such as 1%, not quantiles"},
    {"limit: 1%", "limit: {p98: 800ms}",
     "10:58: limit: of a ratio is one rate such as 1%, not quantiles\n"
     "10:59: unknown key \"p98\"; did you mean \"p90\"?"},
    {"limit: 1%", "limit: 100%",
     "10:58: limit: 100% is above the maximum of 0.999999"},
    {"limit: 1%", "limit: [1%]",
     "10:58: limit: found a list where a share such as 0.05 or 5% is expected"},
    {"share: 2", "share: 0",
     "10:69: share: 0 is below the minimum of 1e-06"},
    {"share: 2", "share: -1",
     "10:69: share: -1 is below the minimum of 1e-06"},
    {"share: 2", "share: \"2\"",
     "10:69: share: \"2\" is not a number"},
    {"share: 2", "mode: warn",
     "10:3: no metric has mode: gate, so nothing could promote or abort\n"
     "13:21: all_of: errors has a mode other than gate and cannot decide; list gating metrics only"},
    {"share: 2", "phi: 0.5",
     "10:67: phi: 0.5 is below the minimum of 1"},
    {"share: 2", "protect: [p99]",
     "10:71: protect: belongs to kind latency, not to ratio"},
    {"share: 2", "too_good: 20%",
     "10:72: too_good: of a ratio it is about users who come again; add per: user, or leave it out"},
    {"share: 2}", "share: 2}\n  - {name: errors}",
     "11:12: name: \"errors\" is the name of an earlier metric, too"},
    {"share: 2}", "share: 2}\n  - {name: other, mode: shadow, abort_over: 1.9}\n  - errors",
     "12:5: metrics: found a single value where a map is expected"},
    {"  - {name: errors, abort_over: 1.2, floor: 0.05%, limit: 1%, share: 2}\n", "  []\n",
     "10:3: metrics: 0 given; 1 to 32 are expected"},
    {"id: shop-1", "id: shop-1\nchecks: {load: {kind: exec, target: x}}",
     "2:16: load: is in neither criteria.all_of nor criteria.any_of, so it would decide nothing; name it there"},
    {"{all_of: [errors]", "{all_of: [errors, lode]",
     "13:29: all_of: no metric is named \"lode\""},
    {"criteria: {all_of: [errors]", "checks: {load: {kind: exec, target: x}}\ncriteria: {all_of: [errors, lode]",
     "14:29: all_of: no metric or check is named \"lode\"; did you mean \"load\"?"},
    {"criteria: {all_of: [errors]", "checks: {load: {kind: exec, target: x}}\ncriteria: {all_of: [load]",
     "14:11: criteria: no metric is needed, so checks alone would promote; name a gating metric in all_of"},
    {"criteria: {all_of: [errors]", "checks: {load: {kind: exec, target: x}, b: {kind: exec, target: x}}\ncriteria: {all_of: [b], any_of: [errors, load]",
     "14:11: criteria: no metric is needed, so checks alone would promote; name a gating metric in all_of"},
    {"criteria: {all_of: [errors]", "checks: {load: {kind: exec, target: x}}\ncriteria: {all_of: [errors], any_of: [errors, load]",
     "14:38: any_of: errors is in all_of, too; leave it out of one"},
    {"criteria: {all_of: [errors]", "checks: {errors: {kind: exec, target: x}}\ncriteria: {all_of: [errors]",
     "13:18: errors: is the name of a metric, too; choose another"},
    {"criteria: {all_of: [errors]", "checks: {load: {kind: exec, url: \"https://a/\"}}\ncriteria: {all_of: [errors, load]",
     "13:16: load: exec needs a target: a name under checks.exec of the engine's serin.yaml\n"
     "13:34: url: belongs to kind webhook; leave it out"},
    {"criteria: {all_of: [errors]", "checks: {load: {kind: webhook, url: \"file:///etc/passwd\"}}\ncriteria: {all_of: [errors, load]",
     "13:37: url: expected https://… or http://…"},
    {"criteria: {all_of: [errors]", "checks: {load: {kind: webhook, url: \"https://a/\", secret_file: ../x}}\ncriteria: {all_of: [errors, load]",
     "13:64: secret_file: the name of a file in checks.secrets of serin.yaml, without a path"},
    {"criteria: {all_of: [errors]", "checks: {load: {kind: exec, target: x, valid: 90s}}\ncriteria: {all_of: [errors, load]",
     "13:16: load: valid 90 s must be longer than every and all attempts together (90 s); an answer would expire before the next comes"},
    {"schedule: {", "schedule: {allow: [{days: [mon..thur]}], ",
     "14:27: days: \"mon..thur\" is none of mon, tue, wed, thu, fri, sat, sun nor a range such as mon..thu"},
    {"schedule: {", "schedule: {allow: [{from: \"9h00\"}], ",
     "14:27: from: \"9h00\" is no time of day such as 09:00"},
    {"schedule: {", "schedule: {allow: [{from: \"22:00\", to: \"25:00\"}], ",
     "14:40: to: \"25:00\" is no time of day such as 16:00"},
    {"schedule: {", "schedule: {allow: [{from: \"22:00\", to: \"06:00\"}], ",
     "14:20: allow: to must be later than from on the same day; write two entries for a night"},
    {"id: shop-1", "id: shop-1\nafter: [shop-0, shop-1]",
     "2:8: after: shop-1 would wait for itself; leave it out"},
    {"id: shop-1", "id: shop-1\nafter: Shop 0",
     "2:8: after: \"Shop 0\" is no id of a rollout"},
    {"quorum: 1", "quorum: 3",
     "12:42: quorum: 3 of 2 approvers can never agree; lower it, or list more approvers"},
    {"quorum: 1", "quorum: 0",
     "12:42: quorum: 0 is below the minimum of 1"},
    {"quorum: 1", "quorum: 1.5",
     "12:42: quorum: \"1.5\" is not a whole number"},
    {"[alice, bob]", "[]",
     "12:20: approvers: 0 given; 1 to 64 are expected"},
    {"[alice, bob]", "[bob, bob]",
     "12:20: approvers: \"bob\" is listed twice"},
    {"approvers: [alice, bob], ", "",
     "12:8: sre: \"approvers\" is missing: who may open the gate"},
    {"  sre:", "  SRE:",
     "7:42: gate: \"sre\" is not defined; define it under gates: with its approvers\n"
     "12:3: gates: \"SRE\" is not a name of lower-case letters, digits, '.', '_' and '-' that begins with a letter or a digit; did you mean \"sre\"?"},
    {"quorum: 1", "expires: 0s",
     "12:43: expires: 0s is below the minimum of 1s"},
    {"quorum: 1", "on_expiry: promote",
     "12:45: on_expiry: \"promote\" is none of hold, abort"},
    {"[errors]", "[error]",
     "13:21: all_of: no metric is named \"error\"; did you mean \"errors\"?"},
    {"[errors]", "[throughput]",
     "13:21: all_of: no metric is named \"throughput\""},
    {"[errors]", "[]",
     "13:20: all_of: 0 given; 1 to 32 are expected"},
    {"min_requests: 1000", "min_requests: -1",
     "13:44: min_requests: \"-1\" is not a whole number"},
    {"min_requests: 1000", "min_requests: many",
     "13:44: min_requests: \"many\" is not a whole number"},
    {"to: 2027-01-02", "to: 2026-12-24",
     "14:44: to: not after from; a freeze must end later"},
    {"to: 2027-01-02", "to: 2026-02-30",
     "14:44: to: \"2026-02-30\" is not a time such as 2026-12-01T09:00Z or 2026-12-01"},
    {"to: 2027-01-02", "to: tomorrow",
     "14:44: to: \"tomorrow\" is not a time such as 2026-12-01T09:00Z or 2026-12-01"},
    {", to: 2027-01-02", "",
     "14:21: freeze: \"to\" is missing: its end; a date means 00:00 UTC"},
    {"to: 2027-01-02}", "to: 2027-01-02}, {from: 2027-01-01, to: 2027-02-01}",
     "14:57: this freeze overlaps the one in line 14; join them"},
    {"criteria:", "\tcriteria:",
     "13:1: a tab cannot indent YAML; use spaces"},
    {"criteria: {", "criteria: {{",
     "13:12: a key must be a plain text, not a list or a map; templates such as {{ x }} must be filled in before\n"
     "14:1: a \",\" or \"}\" is missing before this; texts with {, }, [, ] or \",\" need quotes. The \"{\" it belongs to is in line 13"},
    {"criteria:", "- criteria:",
     "13:1: a list item cannot stand between the keys of a map; remove the \"-\", or put it below its key"},
    {"id: shop-1", "id: \"a\\0b\"",
     "1:5: a text cannot hold the character \\0"},
    {"schedule:", "---\nschedule:",
     "14:1: a second document starts here; put one document into a file"},
    {"id: shop-1", "id: shop-1\nowner: \1",
     "2:8: not valid YAML: control characters are not allowed"},
    {"weight: 25%", "weight: 0.5",
     "7:14: weight: \"0.5\" is not a percentage such as 5%; did you mean 0.5% or 50%?"},
    {"weight: 25%", "weight:25%",
     "7:5: steps: \"weight\" is missing: share of traffic that the canary gets in this step, e.g. 5%\n7:6: unknown key \"weight:25%\"; write \"weight: 25%\" with a colon and a space"},
    {"bake: 2m", "bake: 2",
     "6:41: bake: \"2\" is not a duration such as 200ms, 30s, 5m or 2h; it has no unit: write 2s, 2m or 2h"},
    {"bake: 2m", "bake: 2 minutes",
     "6:41: bake: \"2 minutes\" is not a duration such as 200ms, 30s, 5m or 2h; did you mean 2m?"},
    {"bake: 2m", "bake: 200millis",
     "6:41: bake: \"200millis\" is not a duration such as 200ms, 30s, 5m or 2h; did you mean 200ms?"},
    {"abort_over: 1.2", "abort_over: 0.2",
     "10:32: abort_over: 0.2 is below the minimum of 1; did you mean 1.2 or 20%?"},
    {"share: 2}", "share: 2} // twice",
     "10:72: the value has ended before this: a quote above may not be closed, a comment may lack its \" #\", or a text with quotes in it needs the other kind around it"},
    {"limit: 1%", "limit: 1%# slo",
     "10:58: limit: \"1%# slo\" is not a share such as 0.05 or 5%; a comment begins with \" #\""},
    {"id: shop-1", "id shop-1",
     "2:8: a \":\" cannot stand here: the line above may lack its own, this line may be indented wrongly, or a text with \": \" may lack quotes"},
    {"id: shop-1", "id: shop-1\nowner: \"me",
     "4:22: the value has ended before this: a quote above may not be closed, a comment may lack its \" #\", or a text with quotes in it needs the other kind around it"},
    {"id: shop-1", "id: shop-1\nowner: @me",
     "2:8: a text cannot begin with this character; put it in quotes"},
    {"id: shop-1", "id: shop-1\nowner: a: b",
     "2:9: a \":\" cannot stand here: the line above may lack its own, this line may be indented wrongly, or a text with \": \" may lack quotes"},
    {"id: shop-1", "id: shop-1\nowner: “me”",
     "2:8: these quotes are not YAML's and would belong to the text; use \" or '"},
    {"id: shop-1", "id: shop-1\n...",
     "3:1: the document has ended above this line; remove the \"...\""},
    {"  baseline:", "   baseline:",
     "4:4: the indentation fits no line above; keys of one map stand exactly under each other"},
    {"  - {weight: 25%", "  -{weight: 25%",
     "7:3: a list item needs a space behind its \"-\""},
    {"  - {weight: 25%", "   {weight: 25%",
     "7:4: the indentation fits no line above; the keys of a list item stand exactly under its first key"},
    {"to: 2027-01-02", "to: 2027-01-02 09:00",
     "14:44: to: \"2027-01-02 09:00\" has no time zone; add Z for UTC, or an offset such as +01:00"},
    {"abort_over: 1.2, floor", "abort_over 1.2, flor",
     "10:20: unknown key \"abort_over 1.2\"; write \"abort_over: 1.2\" with a colon and a space\n"
     "10:36: unknown key \"flor\"; did you mean \"floor\"?"},
    {"to: 2027-01-02}]}\n", "to: 2027-01-02}]}\nowner: \"me\n",
     "15:8: this quote is never closed"},
    {"schedule:", "schedule\nstrict:",
     "14:1: no \": \" here; write \"key: value\" with a space behind the colon"},
};
/* clang-format on */

static char *replaced(const char *old, const char *changed)
{
    const char *at = strstr(base, old);
    cr_assert(at != NULL, "the plan has no %s", old);
    size_t room = sizeof base + strlen(changed);
    char *text = malloc(room);
    snprintf(text, room, "%.*s%s%s", (int)(at - base), base, changed, at + strlen(old));
    return text;
}

static char *said(const struct doc_errors *e)
{
    char *all = calloc(1, e->n * 300 + 1), *end = all;
    for (size_t i = 0; i < e->n; i++)
        end += snprintf(end, 300, "%s%u:%u: %s", i > 0 ? "\n" : "", e->items[i].line,
                        e->items[i].column, e->items[i].text);
    return all;
}

Test(plan_bad, the_plan_itself_is_good)
{
    struct arena a = {0};
    struct doc_errors errors = {0};
    struct plan *p = NULL;
    int rc = plan_parse(&a, base, strlen(base), &p, &errors);
    cr_assert(eq(int, rc, SERIN_OK));
    cr_assert(eq(sz, errors.total, 0));
    cr_assert(eq(str, (char *)p->id, "shop-1"));
    arena_free(&a);
}

Test(plan_bad, each_error_is_found_at_its_place)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a = {0};
        struct doc_errors errors = {0};
        struct plan *p = NULL;
        char *text = replaced(cases[i].old, cases[i].changed);
        int rc = plan_parse(&a, text, strlen(text), &p, &errors);
        char *all = said(&errors);
        cr_expect(eq(int, rc, SERIN_EPARSE), "%s -> %s", cases[i].old,
                  cases[i].changed);
        cr_expect(p == NULL);
        cr_expect(eq(str, all, (char *)cases[i].errors));
        free(all);
        free(text);
        arena_free(&a);
    }
}

Test(plan_bad, all_errors_come_at_once_in_the_order_of_the_text)
{
    static const char text[] = "id: Shop\n"
                               "wiindow: 1s\n"
                               "metrics: [{name: a, share: 0}]\n"
                               "risk: {false_abort: 2}\n";
    static const char expected[] =
        "1:1: \"cohorts\" is missing: how the two versions' records are told apart\n"
        "1:5: id: \"Shop\" is not a name of lower-case letters, digits, '.', '_' and "
        "'-' "
        "that begins with a letter or a digit; did you mean \"shop\"?\n"
        "2:1: unknown key \"wiindow\"; did you mean \"window\"?\n"
        "3:28: share: 0 is below the minimum of 1e-06\n"
        "4:21: false_abort: 2 is above the maximum of 0.5; did you mean 2%?";
    struct arena a = {0};
    struct doc_errors errors = {0};
    struct plan *p = NULL;
    int rc = plan_parse(&a, text, strlen(text), &p, &errors);
    cr_assert(eq(int, rc, SERIN_EPARSE));
    char *all = said(&errors);
    cr_assert(eq(str, all, (char *)expected));
    free(all);
    arena_free(&a);
}

/* Every check of an experiment. */
static const char experiment_head[] =
    "id: x\ncohorts: {canary: {v: \"2\"}, baseline: {v: \"1\"}}\n";
static const struct {
    const char *text, *errors;
} experiments[] = {
    {"strategy: experiment\nmetrics: [{name: a}]\n",
     "3:11: strategy: experiment needs the section experiment, e.g. experiment: "
     "{metric: conversion, better: up}"},
    {"experiment: {better: up}\nmetrics: [{name: a}]\n",
     "3:13: experiment: belongs to strategy: experiment; add that, or leave it "
     "out"},
    {"strategy: experiment\nexperiment: {weight: 20%}\nmetrics: [{name: a}]\n",
     "4:13: experiment: \"better\" is missing: which way its share is better: up "
     "for "
     "conversions, down for errors"},
    {"strategy: experiment\nexperiment: {better: left}\nmetrics: [{name: a}]\n",
     "4:22: better: \"left\" is none of up, down"},
    {"strategy: experiment\nexperiment: {better: up}\nmetrics: [{name: a}, {name: "
     "b}]\n",
     "4:13: experiment: \"metric\" is missing: the name of the metric that the "
     "question is about, since there are 2"},
    {"strategy: experiment\nexperiment: {better: up, metric: salse}\n"
     "metrics: [{name: sales}, {name: b}]\n",
     "4:34: metric: no metric is named \"salse\"; did you mean \"sales\"?"},
    {"strategy: experiment\nexperiment: {better: up, weight: 100%, level: 0.6}\n"
     "metrics: [{name: a}]\n",
     "4:34: weight: 100% is above the maximum of 99.99%\n"
     "4:47: level: 0.6 is above the maximum of 0.5; did you mean 0.6%?"},
    {"strategy: experiment\nexperiment: {better: up, equivalent: 0%}\n"
     "metrics: [{name: a}]\n",
     "4:38: equivalent: 0% is below the minimum of 0.001"},
    {"strategy: experiment\nexperiment: {better: up, metric: a}\n"
     "metrics: [{name: a, abort_over: 2, limit: 3%, mode: warn}, {name: b}]\n",
     "5:33: abort_over: a decides the experiment and never aborts it; guard it by "
     "another metric, which may come from the same stream\n"
     "5:43: limit: a decides the experiment and never aborts it; guard it by "
     "another "
     "metric, which may come from the same stream\n"
     "5:53: mode: a decides the experiment, so it is a gate"},
    {"strategy: experiment\nexperiment: {better: down}\n"
     "metrics: [{name: a, kind: latency, protect: [p50, p99]}]\n",
     "5:45: protect: an experiment asks about one quantile of a latency; write "
     "e.g. "
     "protect: [p50]"},
    {"strategy: experiment\nexperiment: {better: up}\n"
     "steps: [{weight: 5%}, {weight: 100%}]\n"
     "metrics: [{name: a}]\ncriteria: {all_of: [a]}\n",
     "5:8: steps: an experiment has one weight, experiment.weight; leave the steps "
     "out\n"
     "7:20: all_of: is about promotion; an experiment ends by its metric"},
};

Test(plan_bad, experiments)
{
    for (size_t i = 0; i < sizeof experiments / sizeof *experiments; i++) {
        struct arena a = {0};
        struct doc_errors errors = {0};
        struct plan *p = NULL;
        char text[600];
        snprintf(text, sizeof text, "%s%s", experiment_head, experiments[i].text);
        int rc = plan_parse(&a, text, strlen(text), &p, &errors);
        char *all = said(&errors);
        cr_expect(eq(int, rc, SERIN_EPARSE), "%s", experiments[i].text);
        cr_expect(eq(str, all, (char *)(uintptr_t)experiments[i].errors));
        free(all);
        arena_free(&a);
    }
}
