package e2e_test

func (s *stack) wantOutagesUnnoticed() {}
