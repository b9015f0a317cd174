"""What runtimes other than ours are known to do otherwise, and why."""

# Tests that a peer is known not to pass: not what we are to copy.
PEERS = {
    "runc": {
        # Whole classes: Debian 12's is older than these fields. 1.3 passes but
        # for lists that it takes otherwise and memory policies (of 1.4).
        "Scheduling": "1.1 knows none of it",
        "Dialect": "is crun's",
        "MappedByOption": "is crun's",
        "Links": "is crun's",
        "CrunsMaps": "is crun's",
        "WithoutMountNamespace": "1.1 leaves its mounts, and execs outside",
        "CacheAndBandwidth.test_refused_by_the_fields_name":
            "1.1 ignores a group alone",
        "ManyRules.test_too_many_to_be_loaded_are_refused_at_once":
            "tries to load them",
        "Ready.test_one_that_ends_before": "1.1 waits for ever",
        "Ready.test_where_it_is": "1.1 waits for ever",
        "Ready.test_nobody_hears_of_a_start": "fails, and leaves it running",
        "Rootless.test_kill_all": "1.1 needs a cgroup",
        "Rootless.test_mapped_mounts_are_refused": "1.1 ignores them",
        "Rootless.test_network_devices_are_refused": "1.1 ignores them",
        "Rootless.test_new_time_namespace": "1.1 knows none",
        "Rootless.test_namespaces_of_another": "1.1 wants mappings as well",
        "Rootless.test_processes_of_another": "1.1 wants mappings as well",
        "Rootless.test_out_of_memory_score_is_not_lowered": "fails",
        "Rootless.test_owner_is_told": "looks in its own files of users",
        "Rootless.test_score_is_told_by_one_in_a_new_time_namespace":
            "1.1 knows none",
        "Rootless.test_procfs_of_the_hosts_processes": "has no way",
        "Rootless.test_sysfs_of_the_hosts_network": "has no way",
        "Rootless.test_root_is_not_mapped": "wants root mapped",
        "RootlessCgroup.test_what_needs_one_is_refused":
            "1.1 shows statistics of nothing",
        "RootlessMaps.test_additional_groups": "refuses them",
        "RootlessMaps.test_ids_beyond_the_users": "has words of its own",
        "RootlessMaps.test_root_is_a_subordinate_id":
            "1.1 cannot give its streams away",
        "RootlessMaps.test_several_ranges": "as above",
        "InsideUserNamespace.test_score_is_not_lowered": "fails",
        "Huge": "1.1 ignores or refuses the fields",
        "TimeNamespaces": "1.1 knows none of it",
        "NetDevices": "1.1 ignores them",
        "HandedOver.test_pidfd_sockets": "1.1 has no such flag",
        "HandedOver.test_nobody_at_the_pidfd_socket": "1.1 has no such flag",
        "Notified.test_flags": "1.1 knows no flags",
        "Notified.test_wait_killable": "1.1 knows no flags",
        "Filter.test_next_to_nothing_is_needed": "Go's own calls",
        "Filter.test_program_is_found_without_looking_at_files":
            "looks without no_new_privs only when the filter is loaded",
        "Filter.test_program_that_is_missing_is_told_as_ever": "as above",
        "Descriptors.test_waiting_init_holds_none": "Go's eventpoll",
        "KilledWhole.test_those_that_the_init_left_behind":
            "1.1 says that it is not running",
        "KilledWhole.test_those_that_it_left_in_anothers_pid_namespace":
            "as above",
        "Surroundings.test_exec_has_the_personality": "1.1 ignores it",
        "SharedPids.test_killed_runtime_leaves_no_process":
            "leaves the cgroup",
        # A process of theirs can be seen with its sockets.
        "Thief.test_exec_shows_nothing_of_the_host": "CVE-2016-9962",
        "Thief.test_exec_into_a_privileged_container": "CVE-2016-9962",
        "Thief.test_exec_in_the_background_and_as_another_user":
            "CVE-2016-9962",
        "Thief.test_start_in_a_shared_pid_namespace": "CVE-2016-9962",
        "Thief.test_failing_start_in_a_shared_pid_namespace": "CVE-2016-9962",
        # Debian 12's 1.1.5 is older than the fixes.
        "Security.test_no_host_directory_as_cwd": "CVE-2024-21626",
        "Security.test_null_device_that_is_a_link_masks_nothing":
            "CVE-2025-31133",
        "Security.test_null_as_a_stream_keeps_its_owner": "chowns /dev/null",
        "Process.test_start_reports_what_cannot_be_executed":
            "start returns before execve",
        "Hooks.test_failing_poststart_ends_the_container": "1.1 goes on",
        "Security.test_dev_that_is_a_link": "CVE-2026-41579",
        "Exec.test_strict_user": "looks names up",
        "Security.test_nothing_but_procfs_on_proc": "takes tmpfs on /proc",
        "SecurityOfUser.test_nothing_but_procfs_on_proc": "as above",
        "SecurityWithUserNamespace.test_nothing_but_procfs_on_proc":
            "as above",
        "Security.test_swapped_mount_point_reaches_no_host_directory":
            "CVE-2024-45310",
        "UserNamespace.test_joined_by_path": "1.1 wants mappings as well",
        "UserNamespace.test_mappings_without_the_namespace_are_refused":
            "1.1 ignores them",
        "Mounts.test_copy_needs_a_tmpfs": "1.1 ignores it",
        "Mounts.test_map_of_nothing_is_refused": "1.1 ignores it",
        "Mounts.test_mapped_ids": "1.1 maps none",
        "Mounts.test_mapped_to_the_containers_namespace": "1.1 maps none",
        "Races.test_console_that_changes": "CVE-2025-52565",
        "Races.test_null_device_that_changes": "CVE-2025-31133",
        "Races.test_device_that_changes": "CVE-2026-41579",
        "Races.test_bind_of_a_file_makes_none_outside": "CVE-2024-45310",
        "Races.test_mount_point_that_changes_is_no_source":
            "1.1 fails now and then on a busy machine",
        "Races.test_proc_that_changes": "as above",
    },
    "crun": {
        "Scheduling": "1.8 knows none of it, and takes bad values",
        "Links": "1.8 knows no such options",
        "Dialect.test_files_for_what_hooks_write": "fails with poststart",
        "Dialect.test_unknown_context_type": "1.8 takes it",
        "Dialect.test_user_namespace_without_mappings": "1.8 maps one id",
        "WithoutMountNamespace": "1.8 leaves its mounts, and execs outside",
        "Delegated": "1.8 stays in the caller's cgroup",
        "Ready.test_create_and_start": "1.8 tells no pid",
        "Ready.test_in_the_foreground_the_runtime_is_watched":
            "1.8 tells no pid",
        "Ready.test_nothing_else_is_passed_on": "1.8 tells no pid",
        "Ready.test_run_in_the_background": "1.8 tells no pid",
        "Ready.test_one_that_ends_before": "1.8 exits as the container did",
        "Ready.test_socket_of_another_user": "1.8 leaves it to root",
        "CacheAndBandwidth": "1.8 ignores it",
        "Rootless.test_additional_groups_are_refused": "1.8 drops them",
        "Rootless.test_device_of_the_configuration": "1.8 fails",
        "Rootless.test_kill_all": "1.8 does nothing without a cgroup",
        "Rootless.test_network_devices_are_refused": "1.8 ignores them",
        "Rootless.test_new_time_namespace": "1.8 knows none",
        "Rootless.test_out_of_memory_score_is_not_lowered": "fails",
        "Rootless.test_processes_of_another": "1.8 cannot join",
        "Rootless.test_procfs_of_the_hosts_processes": "has no way",
        "Rootless.test_score_of_an_exec": "1.8 leaves it out",
        "Rootless.test_score_is_told_by_one_in_a_new_time_namespace":
            "fails",
        "RootlessCgroup.test_limits_are_refused": "ignores them",
        "RootlessMaps.test_streams_belong_to_the_user": "1.8 gives them not",
        "InsideUserNamespace.test_score_is_not_lowered": "fails",
        "Huge": "1.8 ignores or refuses the fields",
        "TimeNamespaces": "1.8 knows none of it",
        "NetDevices": "1.8 ignores them",
        # runc's command line.
        "CommandLine": "has words of its own",
        "Texts": "has words of its own",
        "Events": "has no such verb",
        "HandedOver": "1.8 has no such flag, and sets no LISTEN_PID",
        "Notified.test_agent_answers_init_and_exec": "tells only at start",
        "Notified.test_what_could_never_be_answered_is_refused":
            "takes what hangs",
        "Asked.test_cgroup_of_exec_stays_below_the_containers":
            "1.8 lets it climb",
        "Refused.test_without_a_pivot_no_other_procfs_is_left":
            "1.8 leaves it",
        "Surroundings.test_what_is_passed_over_is_told": "1.8 says nothing",
        "Filter.test_next_to_nothing_is_needed": "makes more calls",
        "Descriptors.test_exec_by_a_leaked_descriptor": "CVE-2024-21626",
        "Descriptors.test_program_by_a_leaked_descriptor": "CVE-2024-21626",
        "Descriptors.test_waiting_init_holds_none": "CVE-2024-21626",
        "Refused.test_ids_that_mean_none": "1.8 runs them as root",
        "KilledWhole.test_an_init_that_left_its_cgroup":
            "1.8 kills the cgroup only",
        "KilledWhole.test_those_that_the_init_left_behind":
            "1.8 looks for the init",
        "KilledWhole.test_those_that_it_left_in_anothers_pid_namespace":
            "as above",
        "SharedUserNamespace.test_create_container_hook_runs_before_it_is_seen":
            "1.8 runs it in another directory",
        "SharedPids.test_killed_runtime_leaves_no_process":
            "leaves the cgroup",
        # A process of theirs can be seen with its sockets.
        "Thief.test_exec_shows_nothing_of_the_host": "CVE-2016-9962",
        "Thief.test_exec_into_a_privileged_container": "CVE-2016-9962",
        "Thief.test_exec_in_the_background_and_as_another_user":
            "CVE-2016-9962",
        "Thief.test_start_in_a_shared_pid_namespace": "CVE-2016-9962",
        "Thief.test_failing_start_in_a_shared_pid_namespace": "CVE-2016-9962",
        "Security.test_no_host_directory_as_cwd": "CVE-2024-21626",
        "Security.test_null_as_a_stream_keeps_its_owner": "chowns /dev/null",
        "Security.test_null_device_that_is_a_link_masks_nothing":
            "CVE-2025-31133",
        "SecurityOfUser.test_no_host_directory_as_cwd": "CVE-2024-21626",
        "SecurityOfUser.test_nothing_but_procfs_on_proc":
            "takes tmpfs on /proc",
        "SecurityWithUserNamespace.test_no_host_directory_as_cwd":
            "CVE-2024-21626",
        "SecurityWithUserNamespace.test_nothing_but_procfs_on_proc":
            "takes tmpfs on /proc",
        "SecurityWithUserNamespace.test_null_as_a_stream_keeps_its_owner":
            "chowns /dev/null",
        "Process.test_start_reports_what_cannot_be_executed":
            "start returns before execve",
        "Hooks.test_failing_poststart_ends_the_container": "1.8 goes on",
        "Security.test_dev_that_is_a_link": "CVE-2026-47766",
        "Exec.test_strict_user": "CVE-2026-30892",
        "Lifecycle.test_bad_ids": "1.8 takes them",
        "Configuration.test_bad_values": "1.8 takes some",
        "Configuration.test_json_log": "has words of its own",
        "Exec.test_flags": "1.8 drops the environment and the group",
        "Hooks.test_failing_poststop_does_not_matter": "1.8 dies by SIGPIPE",
        "Process.test_home_of_the_user": "1.8 leaves HOME out",
        "Security.test_nothing_but_procfs_on_proc": "takes tmpfs on /proc",
        "Terminal.test_console_socket_without_terminal_is_an_error":
            "1.8 ignores it",
        "UserNamespace.test_mappings_without_the_namespace_are_refused":
            "1.8 ignores them",
        "Races.test_console_that_changes": "CVE-2025-52565",
        "Races.test_null_device_that_changes": "CVE-2025-31133",
        "Races.test_device_that_changes": "CVE-2026-47766",
    },
}
