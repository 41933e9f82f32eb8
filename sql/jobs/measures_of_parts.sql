-- The measures of the machine and of the parts, as `jobs.measures` has it.
create or replace function jobs.measures_of_parts() returns setof jobs.measure
language sql stable
as $$
    select 'gather_component_healthy', 'Whether a part of the platform says that it is healthy, and said so lately.', false,
        'component', h.component,
        (h.status = 'healthy' and h.reported_at > now() - interval '30 seconds')::integer::double precision
    from platform.health h
    union all
    select 'gather_database_bytes', 'Size of the database.', false, null, null,
        pg_database_size(current_database())::double precision
    union all
    select disk.name, disk.help, false, null, null, disk.number
    from platform.health h, lateral (values
        ('gather_disk_free_bytes', 'What can still be written to the disk of the state folder.',
            (h.detail ->> 'free_bytes')::double precision),
        ('gather_disk_bytes', 'Size of the disk of the state folder.', (h.detail ->> 'total_bytes')::double precision)
    ) disk (name, help, number)
    where h.component = 'disk'
$$;
