-- Keeps the latest thousand lines of the output of a claw's container: {at, stream, text}.
create or replace function claws.keep_lines(claw uuid, lines jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into claws.line (claw_id, at, number, stream, text)
    select claw, (l.value ->> 'at')::timestamptz, row_number() over (partition by l.value ->> 'at' order by l.ordinality),
        l.value ->> 'stream', left(l.value ->> 'text', 4000)
    from jsonb_array_elements(case jsonb_typeof(lines) when 'array' then lines else '[]' end) with ordinality l
    on conflict on constraint line_pkey do nothing;
    delete from claws.line x where x.claw_id = claw and (x.at, x.number) <= (
        select o.at, o.number from claws.line o where o.claw_id = claw order by o.at desc, o.number desc offset 1000 limit 1);
end
$$;
