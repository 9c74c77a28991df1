# Completion of `sluice` for bash: commands, options, services and rollouts of the daemon that answers.
# Installed as /usr/share/bash-completion/completions/sluice, or sourced by hand.

_sluice_commands='run check status watch rollout rollback pause resume promote abort confirm history report note weight scale hold release drain version help'

# Options of a command, those of every command included.
_sluice_options()
{
    case $1 in
    run) echo '--state --admin --engine --workers --endpoints --json --help' ;;
    check) echo '--canonical --json --help' ;;
    watch) echo '--once --admin --json --help' ;;
    rollout) echo '--image --strategy --order --steps --interval --preset --env --label --memory --cpus --command --replicas --network --volume --publish --restart --user --reason --pull --no-pull --dry-run --force --detach --admin --json --help' ;;
    rollback) echo '--reason --dry-run --detach --admin --json --help' ;;
    scale) echo '--reason --detach --admin --json --help' ;;
    hold) echo '--timeout --admin --json --help' ;;
    drain) echo '--end --extend --watch --admin --json --help' ;;
    confirm) echo '--name --admin --json --help' ;;
    note) echo '--lesson --admin --json --help' ;;
    history) echo '--limit --admin --json --help' ;;
    version | help) echo '--json --help' ;;
    *) echo '--admin --json --help' ;;
    esac
}

# Names of the daemon's services: "name" stands first in each service object.
_sluice_services()
{
    "${_sluice_program:-sluice}" status ${_sluice_admin:+--admin "$_sluice_admin"} --json 2>/dev/null |
        grep -o '{"name":"[^"]*","protocol"' | cut -d'"' -f4
}

_sluice()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command='' arguments=0 i _sluice_admin='' _sluice_program=${COMP_WORDS[0]}
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --name) ((i++)) ;;
        --admin) _sluice_admin=${COMP_WORDS[++i]} ;;
        --state | --engine | --workers | --endpoints | --image | --steps | --interval | --preset | --env | --label | --memory | --cpus | --command | --replicas | --network | --volume | --publish | --restart | --user | --reason | --force | --limit | --timeout | \
            --end | --extend)
            ((i++))
            ;;
        -*) ;;
        *) if [[ -z $command ]]; then command=${COMP_WORDS[i]}; else ((arguments++)); fi ;;
        esac
    done
    case $before in
    --name) return ;;
    --admin | --state | --endpoints)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    --steps)
        mapfile -t COMPREPLY < <(compgen -W '5,25,50,100 1,10,50,100' -- "$word")
        return
        ;;
    --preset)
        mapfile -t COMPREPLY < <(compgen -W 'careful fast at_once' -- "$word")
        return
        ;;
    --restart)
        mapfile -t COMPREPLY < <(compgen -W 'no always unless-stopped on-failure' -- "$word")
        return
        ;;
    --interval | --timeout)
        mapfile -t COMPREPLY < <(compgen -W '10s 30s 1m 5m' -- "$word")
        return
        ;;
    --end)
        mapfile -t COMPREPLY < <(compgen -W 'requests uploads streams websockets tcp all' -- "$word")
        return
        ;;
    --extend)
        mapfile -t COMPREPLY < <(compgen -W '1m 5m 30m websockets=5m tcp=5m' -- "$word")
        return
        ;;
    --engine | --workers | --image | --env | --label | --memory | --cpus | --command | --replicas | --network | --volume | --publish | --user | --reason | --force | --limit) return ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_sluice_options "$command")" -- "$word")
    elif [[ -z $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$_sluice_commands" -- "$word")
    elif ((arguments == 0)); then
        case $command in
        run | check) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        help) mapfile -t COMPREPLY < <(compgen -W "$_sluice_commands" -- "$word") ;;
        version) ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$(_sluice_services)" -- "$word") ;;
        esac
    fi
}

complete -o filenames -F _sluice sluice
