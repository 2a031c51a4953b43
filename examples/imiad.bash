# Completion for imiad and its programs. Options come from each program's own help; values of a few
# of them from its listings.
_imiad()
{
    local cur prev words cword program
    _init_completion || return
    program=$1
    if [[ ${1##*/} == imiad ]]; then
        if ((cword == 1)); then
            COMPREPLY=($(compgen -W "$("$1" --help 2>/dev/null | sed -n 's/^  \([a-z_]*\) .*/\1/p') --help --version" -- "$cur"))
            return
        fi
        program=imiad-${words[1]}
    fi
    case $prev in
        --detector)
            COMPREPLY=($(compgen -W "$(imiad-unsupervised --list-detectors 2>/dev/null | cut -d' ' -f1)" -- "$cur"))
            return ;;
        --dataset)
            COMPREPLY=($(compgen -W "$(imiad-unsupervised --list-datasets 2>/dev/null | cut -d' ' -f1)" -- "$cur"))
            return ;;
        --sensitivity) COMPREPLY=($(compgen -W 'low normal high' -- "$cur")); return ;;
        --precision) COMPREPLY=($(compgen -W 'float32 bfloat16' -- "$cur")); return ;;
        --device) COMPREPLY=($(compgen -W 'cpu cuda' -- "$cur")); return ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$("$program" --help 2>/dev/null | grep -o -- '--[a-z][a-z-]*' | sort -u)" -- "$cur"))
        return
    fi
    [[ $program == *benchmark ]] && ((cword <= 2)) && COMPREPLY=($(compgen -W 'list estimate run status merge report table slurm' -- "$cur"))
    [[ $program == *inspect ]] && ((cword <= 2)) && COMPREPLY=($(compgen -W 'learn check' -- "$cur"))
    COMPREPLY+=($(compgen -f -- "$cur"))
}
complete -o filenames -F _imiad imiad imiad-inspect imiad-unsupervised imiad-supervised imiad-fewshot \
    imiad-noisy imiad-continual imiad-transfer imiad-efficiency imiad-benchmark imiad-compare imiad-list_dataset imiad-export_dataset
