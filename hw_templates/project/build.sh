#!/bin/sh
# From this folder to a bitstream, with nothing but Vitis HLS and Vivado 2020.2 or newer on the PATH:
#   sh build.sh            builds; sh build.sh --cosim simulates the RTL on one image as well, which takes hours
# What comes out is results.tar, which `codesign import results.tar` takes into a store. A step that is done is not
# repeated, so the same command goes on after a failure. Logs: build/hls.log, build/vivado.log.
set -u
cd "$(dirname "$0")" || exit 1

fail() {
    printf 'build.sh: %s\n' "$*" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# The release in the banner that a tool prints, as 2023.2.
version_of() { "$@" 2>&1 </dev/null | sed -n 's/.*v\(20[0-9][0-9]\.[0-9]\).*/\1/p' | sed -n 1p; }

# Releases as numbers: 20232.
number() { printf '%s' "$1" | tr -d .; }

# The first line of a log that says what went wrong, or its last line.
reason() {
    first=$(grep -m 1 '^ERROR' "$1") || first=$(grep . "$1" | tail -n 1)
    printf '%s' "${first:-no output}"
}

# Which Vitis HLS there is: sets hls and hls_version. vitis_hls is gone from 2024.2 on; vitis-run and v++ take over.
choose_hls() {
    found=
    for candidate in vitis-run v++ vitis_hls; do
        has "$candidate" || continue
        case $candidate in vitis_hls) version=$(version_of "$candidate" -version) ;;
            *) version=$(version_of "$candidate" --version) ;; esac
        least=20241
        [ "$candidate" = vitis_hls ] && least=20202
        found="$found $candidate ${version:-of no known release},"
        [ -n "$version" ] && [ "$(number "$version")" -ge "$least" ] || continue
        hls=$candidate
        hls_version=$version
        return
    done
    [ -n "$found" ] && fail "Vitis HLS is too old:${found%,} found; vitis_hls 2020.2, or vitis-run 2024.1, is the oldest"
    fail "Vitis HLS: neither vitis_hls nor vitis-run is on the PATH; source its settings64.sh first"
}

run_hls() {
    case $hls in
        vitis_hls) vitis_hls -f tcl/csynth.tcl ;;
        vitis-run) vitis-run --mode hls --tcl tcl/csynth.tcl ;;
        v++)
            sed "s|@PROJECT@|$(pwd)|g" tcl/hls.cfg >build/hls.cfg &&
                v++ -c --mode hls --config build/hls.cfg --work_dir build/hls
            ;;
    esac
}

# done_before STAMP CONTENT: whether the step of that stamp ended well for the same content.
done_before() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

cosim=0
[ "${1:-}" = --cosim ] && cosim=1
digest=$(cat hardware.sha256) || fail "hardware.sha256: cannot be read"
choose_hls
[ "$cosim" = 1 ] && [ "$hls" = v++ ] && fail "--cosim: needs vitis-run beside v++"
has vivado || fail "vivado: not on the PATH; source its settings64.sh first"
vivado_version=$(version_of vivado -version)
[ -n "$vivado_version" ] || fail "vivado: says no version"
[ "$(number "$vivado_version")" -ge 20202 ] || fail "vivado $vivado_version is too old; 2020.2 is the oldest"
mkdir -p build || fail "build: cannot be made"

hls_stamp="$digest $hls $hls_version $cosim"
if ! done_before build/hls.stamp "$hls_stamp"; then
    printf 'step hls: %s %s\n' "$hls" "$hls_version"
    rm -rf build/hls build/hls.stamp build/vivado.stamp
    printf 'set cosim %s\n' "$cosim" >build/options.tcl
    run_hls >build/hls.log 2>&1 </dev/null || fail "$hls: stopped with code $?: $(reason build/hls.log)"
    [ -n "$(find build/hls -name component.xml 2>/dev/null)" ] ||
        fail "$hls: ended well but left no IP in build/hls: $(reason build/hls.log)"
    printf '%s' "$hls_stamp" >build/hls.stamp
fi

vivado_stamp="$hls_stamp $vivado_version"
if ! done_before build/vivado.stamp "$vivado_stamp" || [ ! -f results.tar ]; then
    printf 'step vivado: %s\n' "$vivado_version"
    rm -rf build/vivado build/results results.tar
    mkdir -p build/results/reports || fail "build/results: cannot be made"
    vivado -mode batch -nojournal -log build/vivado.vds -source tcl/bitstream.tcl >build/vivado.log 2>&1 </dev/null ||
        fail "vivado: stopped with code $?: $(reason build/vivado.log)"
    for kind in bit hwh xsa; do
        [ -s "build/results/engine_$(printf %.8s "$digest").$kind" ] ||
            fail "vivado: ended well but wrote no .$kind: $(reason build/vivado.log)"
    done
    printf 'hls %s %s\nvivado %s\n' "$hls" "$hls_version" "$vivado_version" >build/results/tools.txt
    for report in csynth.xml export_impl.xml conv_engine_cosim.rpt xconv_engine_hw.h; do
        path=$(find build/hls -name "$report" | sed -n 1p)
        [ -n "$path" ] && cp "$path" build/results/reports/
    done
    mkdir build/results/hardware && cp -r include src rtl tcl hardware.sha256 project.json build/results/hardware/ ||
        fail "build/results: cannot be written"
    tar -cf build/results.part -C build/results . && mv build/results.part results.tar ||
        fail "results.tar: cannot be written"
    printf '%s' "$vivado_stamp" >build/vivado.stamp
fi
printf 'results.tar\n'
