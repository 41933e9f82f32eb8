-- Notes that a finder failed or was late, so that it comes last. Waits for nobody: nothing would end the wait.
create or replace function search.note_late(finder text, why text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    raise log 'the finder % found nothing: %', note_late.finder, note_late.why;
    update search.source s set late_at = clock_timestamp() where s.kind in (
        select l.kind from search.source l where note_late.finder in (l.finder, l.meant) for update skip locked);
end
$$;
