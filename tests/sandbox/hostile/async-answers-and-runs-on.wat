;; Answers, and runs on for ever: nobody waits for it longer than its deadline.
;; must: skill-deadline
(component
  (core func $answer (canon task.return (result u32)))
  (core module $m
    (import "host" "answer" (func $answer (param i32)))
    (func (export "attack") (result i32) (call $answer (i32.const 1)) (loop (br 0)) (unreachable))
    (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $i (instantiate $m (with "host" (instance (export "answer" (func $answer))))))
  (func (export "attack") async (result u32)
    (canon lift (core func $i "attack") async (callback (core func $i "callback")))))
